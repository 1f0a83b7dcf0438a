# Starts zwgc at each log-in at a terminal, for whoever has a file ~/.zephyr.subs, be it empty. It goes into the background once he is
# subscribed, and ends with the session. At a second log-in the first one goes on, and nothing is said.
case $- in
*i*)
    if [ -e "$HOME/.zephyr.subs" ] && [ -t 0 ] && [ -t 1 ] && command -v zwgc >/dev/null; then
        zephyr_tty=$(tty)
        zwgc -ttymode -loc "${zephyr_tty#/dev/}" </dev/null
        unset zephyr_tty
    fi
    ;;
esac

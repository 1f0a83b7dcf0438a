# Completion of zshutdown_notify for fish. Made by `cargo xtask completions` of what --help says.

complete -c zshutdown_notify -f -a '(__fish_complete_users)'
complete -c zshutdown_notify -l help -d ''
complete -c zshutdown_notify -l version -d ''

# Completion of zstat for fish. Made by `cargo xtask completions` of what --help says.

complete -c zstat -f -a '(__fish_complete_users)'
complete -c zstat -s h -d 'the host manager only'
complete -c zstat -s s -d 'the server on that host only'
complete -c zstat -l json -d 'an object of JSON on a line for each answer'
complete -c zstat -l help -d ''
complete -c zstat -l version -d ''

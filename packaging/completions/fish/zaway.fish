# Completion of zaway for fish. Made by `cargo xtask completions` of what --help says.

complete -c zaway -f -a '(__fish_complete_users)'
complete -c zaway -s m -x -d 'use STRING as the body of the reply message'
complete -c zaway -s w -d 'watch your location and only reply if you aren\'t locatable'
complete -c zaway -s x -x -d 'the character set of the reply message'
complete -c zaway -s h -d 'display this help and exit'
complete -c zaway -l help -d 'display this help and exit'
complete -c zaway -l no-direct -d 'fail without a host manager (zhm), and speak to no server directly'
complete -c zaway -l version -d 'display the version and exit'

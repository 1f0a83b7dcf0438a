# Completion of zlocate for fish. Made by `cargo xtask completions` of what --help says.

complete -c zlocate -f -a '(__fish_complete_users)'
complete -c zlocate -s a -d 'with proof of who you are (default)'
complete -c zlocate -s d -d 'without proof: who shows himself to everybody'
complete -c zlocate -s p -d 'all users at once, which is done in any case'
complete -c zlocate -s 1 -d 'a line for each location: user, host, terminal and time, with tabs between them'
complete -c zlocate -l no-direct -d 'fail without a host manager (zhm), and speak to no server directly'
complete -c zlocate -l help -d ''
complete -c zlocate -l version -d ''

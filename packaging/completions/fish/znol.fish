# Completion of znol for fish. Made by `cargo xtask completions` of what --help says.

complete -c znol -f -a '(__fish_complete_users)'
complete -c znol -s q -d 'do not list where they are'
complete -c znol -s l -d 'only list where they are'
complete -c znol -s f -r -F -d 'the file with their names, a line each; -: standard input (default: ~/.anyone)'
complete -c znol -s u -x -d 'this one user'
complete -c znol -l no-direct -d 'fail without a host manager (zhm), and speak to no server directly'
complete -c znol -l help -d ''
complete -c znol -l version -d ''

"""The kernel: what is asked for, the proof that it came true, and how it is compiled.

    fragment   parses config fragments; every symbol carries its reason
    merge      joins fragments; two that disagree are an error naming both places
    config     reads a .config
    proof      compares it with what was asked for
    expr       Kconfig's dependency expressions in three-valued logic
    kconfig    reads the Kconfig tree of a kernel source
    explain    says in one line why a symbol did not come true
    needs      lists of symbols that other programs need, checked against the fragments
    hardening  recommendations, and each deviation from them with its reason
    source     unpacks Debian's kernel source and runs make in it the same way everywhere
    configure  makes the .config and proves it
    config_step, step   programs of the hermetic steps `os/kernel:config` and `os/kernel:kernel`

All but the last three lines are pure: text in, values or errors out.
"""

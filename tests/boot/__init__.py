"""Boot the built image in virtual machines and look at what it promises.

`start_test` looks at one healthy machine from all sides; `slots_test` at two releases on one
disk; `state_test` at a lost STATE; `small_test` at little memory; `secure_boot_test` at
signatures. `disks` crafts the disks.
"""

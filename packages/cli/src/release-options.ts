import type { Command } from 'commander'

/** The words by which production keys are given, the same for everything that signs. */
export function addReleaseOptions(
  command: Command,
  words: { readonly release: string; readonly keyring: string; readonly signs: string },
): Command {
  return command
    .option('--release', words.release)
    .option('--keyring <FILE>', `with --release: ${words.keyring}`)
    .option('--signing-key <FILE>', `with --release: private key that signs ${words.signs}`)
    .option('--signing-certificate <FILE>', 'with --release: its certificate')
    .option('--signing-chain <FILE>', 'with --release: certificates between it and the root')
    .option(
      '--signing-passphrase-file <FILE>',
      "with --release: the key's passphrase; or set ATOMIXOS_SIGNER_PASSPHRASE",
    )
}

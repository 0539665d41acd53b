export { createKeyring, type Keyring, type Sealed } from './keyring.ts';
export { parseSecretKeys, type SecretKey } from './keys.ts';

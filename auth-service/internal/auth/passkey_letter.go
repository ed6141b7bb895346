package auth

// MailPasskeyCloned tells that a passkey was refused because there may be a
// copy of it: DataAt, DataAddress, DataUserAgent.
const MailPasskeyCloned = "passkey_clone_suspected"

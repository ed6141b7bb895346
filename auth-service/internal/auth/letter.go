package auth

// Mail is the payload of an outbox message with TopicMail: which letter goes to
// whom. Data holds what the letter needs, under the names beside the templates.
type Mail struct {
	Template string            `json:"template"`
	To       string            `json:"to"`
	Data     map[string]string `json:"data,omitempty"`
}

// Names of Mail.Data. Times are RFC 3339 in UTC.
const (
	DataToken     = "token"      // the raw mail token, for the link
	DataFirstName = "first_name" // as given at registration; may be missing
	DataExpiresAt = "expires_at" // when the token stops working
	DataAt        = "at"         // when it happened
	DataAddress   = "address"    // the client's network address; may be missing
	DataUserAgent = "user_agent" // the client's name for itself; may be missing
	DataAgain     = "again"      // the address was registered more than once
	DataNewEmail  = "new_email"  // the address that is asked for, or took effect
	DataPasskeys  = "passkeys"   // how many must be used with the password first; missing if none
)

// Templates of letters, each with the Data it carries beside DataFirstName.
const (
	// MailVerifyEmail asks a new owner to confirm the address: DataToken,
	// DataExpiresAt, DataAgain.
	MailVerifyEmail = "verify_email"
	// MailAlreadyRegistered tells an owner that somebody tried to register (or
	// to move an account to) an address which has an account: DataAt,
	// DataAddress.
	MailAlreadyRegistered = "already_registered"
	// MailResetPassword carries the link for a new password: DataToken,
	// DataExpiresAt.
	MailResetPassword = "reset_password"
	// MailPasswordChanged tells that the password was changed or reset: DataAt,
	// DataAddress, DataUserAgent, DataPasskeys.
	MailPasswordChanged = "password_changed"
	// MailChangeEmail asks the owner of a new address to confirm it: DataToken,
	// DataExpiresAt.
	MailChangeEmail = "change_email"
	// MailEmailChangeRequested tells the old address that a change is asked for:
	// DataNewEmail, DataAt, DataAddress, DataUserAgent.
	MailEmailChangeRequested = "email_change_requested"
	// MailEmailChanged tells the old address that the change took effect:
	// DataNewEmail, DataAt.
	MailEmailChanged = "email_changed"
	// MailTokenReused tells that a refresh token was used twice and its session
	// was ended: DataAt, DataAddress, DataUserAgent.
	MailTokenReused = "token_reused"
	// MailNewDevice tells of a sign-in from a device that was not seen before:
	// DataAt, DataAddress, DataUserAgent.
	MailNewDevice = "new_device"
	// MailNothing goes to nobody: it is there for the time that it takes.
	MailNothing = "nothing"
	// MailAccountDeleted tells that the account is gone: DataAt.
	MailAccountDeleted = "account_deleted"
)

package auth

// Templates of letters about second factors, each with the Data it carries
// beside DataAt, DataAddress and DataUserAgent.
const (
	// MailFactorAdded tells that a second factor was added: DataFactor.
	MailFactorAdded = "mfa_added"
	// MailFactorRemoved tells that a second factor was removed: DataFactor.
	MailFactorRemoved = "mfa_removed"
	// MailFactorsReset tells that an administrator removed all second factors.
	MailFactorsReset = "mfa_reset"
	// MailRecoveryCodeUsed tells that a recovery code was used up.
	MailRecoveryCodeUsed = "recovery_code_used"
	// MailRecoveryCodesMade tells that there are new recovery codes.
	MailRecoveryCodesMade = "recovery_codes_made"
	// MailCodesRefused tells that somebody who knows the password tried codes.
	MailCodesRefused = "mfa_codes_refused"
)

// DataFactor is which second factor a letter is about: FactorTOTP or
// FactorPasskey.
const DataFactor = "factor"

package mail

import "gatehouse.internal/auth-service/internal/auth"

// factorLetter says what a letter about second factors tells, if it is one.
func factorLetter(m auth.Mail) (content, bool) {
	const tell = "If it was not you, change your password at once and tell the operators of the site."
	switch m.Template {
	case auth.MailFactorAdded:
		return content{
			Subject:    "A second factor was added to your account",
			Paragraphs: []string{"From now on, signing in to your account also takes " + factorName(m) + ". It was added" + circumstances(m) + "."},
			Closing:    tell,
		}, true
	case auth.MailFactorRemoved:
		return content{
			Subject:    "A second factor was removed from your account",
			Paragraphs: []string{"Signing in to your account no longer takes " + factorName(m) + ". It was removed" + circumstances(m) + "."},
			Closing:    tell,
		}, true
	case auth.MailFactorsReset:
		return content{
			Subject: "The second factors of your account were removed",
			Paragraphs: []string{
				"An administrator removed all second factors of your account on request, and signed you out everywhere.",
				"Please sign in and set up a second factor again.",
			},
			Closing: "If you did not ask for this, tell the operators of the site at once.",
		}, true
	case auth.MailRecoveryCodeUsed:
		return content{
			Subject:    "A recovery code of your account was used",
			Paragraphs: []string{"One of your recovery codes was used in place of a second factor" + circumstances(m) + ". It works no more."},
			Closing:    tell,
		}, true
	case auth.MailRecoveryCodesMade:
		return content{
			Subject:    "Your account has new recovery codes",
			Paragraphs: []string{"New recovery codes were made for your account" + circumstances(m) + ". The earlier ones work no more."},
			Closing:    tell,
		}, true
	case auth.MailPasskeyCloned:
		return content{
			Subject: "A passkey of your account was refused",
			Paragraphs: []string{
				"A passkey of your account was used" + circumstances(m) + " in a way that looks as if there were a copy of it, so we refused it.",
				"You can look at your passkeys in your account. Remove the one that is marked, and register a new one.",
			},
			Closing: "If it was not you, change your password as well.",
		}, true
	case auth.MailCodesRefused:
		return content{
			Subject: "Wrong codes were entered for your account",
			Paragraphs: []string{
				"Somebody who knows your password entered several wrong codes in place of your second factor, the last one" + circumstances(m) + ".",
				"They were refused, and codes are refused altogether for a while. Recovery codes still work.",
			},
			Closing: "If it was not you, change your password.",
		}, true
	}
	return content{}, false
}

// factorName tells people which second factor a letter is about.
func factorName(m auth.Mail) string {
	switch m.Data[auth.DataFactor] {
	case auth.FactorTOTP:
		return "a code of an authenticator app"
	case auth.FactorPasskey:
		return "a passkey"
	}
	return "another factor"
}

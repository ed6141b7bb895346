// Package passkey runs the ceremonies of WebAuthn (Level 3, sections 7.1 and
// 7.2) for passkeys: credentials that an authenticator finds by itself and lets
// nobody use but the user, whom it has verified.
//
// It decides whether what a browser hands in is the answer to one question,
// from the one origin that the public URL names. It promises that a passkey is
// good for no other site, that user verification is always demanded, and that a
// counter which did not grow is told. It refuses attestation: which make an
// authenticator is says nothing here. It refuses keys that are dear to check
// signatures with, because a user chooses them.
package passkey

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"gatehouse.internal/auth-service/internal/auth"
	"gatehouse.internal/shared/fault"
)

// Ceremonies makes the questions and judges the answers.
type Ceremonies struct{ rp *webauthn.WebAuthn }

var _ auth.Ceremonies = (*Ceremonies)(nil)

// New returns the ceremonies of the site with this public URL. Browsers have no
// passkeys for addresses without a name, so for those it returns nil.
func New(publicURL string) (*Ceremonies, error) {
	u, err := url.Parse(publicURL)
	if err != nil || u.Hostname() == "" {
		return nil, fmt.Errorf("set up passkeys: the public URL %q has no host", publicURL)
	}
	if net.ParseIP(u.Hostname()) != nil {
		return nil, nil //nolint:nilnil // there are none, and that is no failure
	}
	rp, err := webauthn.New(&webauthn.Config{
		RPID: u.Hostname(), RPDisplayName: u.Hostname(), RPOrigins: []string{u.Scheme + "://" + u.Host},
		AttestationPreference: protocol.PreferNoAttestation,
		AuthenticatorSelection: protocol.AuthenticatorSelection{
			ResidentKey: protocol.ResidentKeyRequirementRequired, UserVerification: protocol.VerificationRequired,
		},
	})
	if err != nil {
		return nil, fmt.Errorf("set up passkeys for %s: %w", u.Host, err)
	}
	return &Ceremonies{rp: rp}, nil
}

// BeginRegistration asks for a new passkey of the owner. options go to
// navigator.credentials.create, state to FinishRegistration.
func (c *Ceremonies) BeginRegistration(o auth.PasskeyOwner) (options, state []byte, err error) {
	u, err := userOf(o)
	if err != nil {
		return nil, nil, err
	}
	var known []protocol.CredentialDescriptor
	for _, credential := range u.credentials {
		known = append(known, credential.Descriptor())
	}
	creation, session, err := c.rp.BeginRegistration(u, webauthn.WithExclusions(known), webauthn.WithCredentialParameters(algorithms()))
	if err != nil {
		return nil, nil, fmt.Errorf("begin registration of a passkey: %w", err)
	}
	return encoded(creation.Response, session)
}

// FinishRegistration judges the browser's answer.
func (c *Ceremonies) FinishRegistration(o auth.PasskeyOwner, state, answer []byte) (auth.NewPasskey, error) {
	u, session, err := begun(o, state)
	if err != nil {
		return auth.NewPasskey{}, err
	}
	if len(answer) > maxAnswer {
		return auth.NewPasskey{}, unreadable(errTooLong)
	}
	parsed, err := protocol.ParseCredentialCreationResponseBytes(answer)
	if err != nil {
		return auth.NewPasskey{}, unreadable(reason(err))
	}
	if err := checkKey(parsed.Response.AttestationObject.AuthData.AttData.CredentialPublicKey); err != nil {
		return auth.NewPasskey{}, refused(err)
	}
	unattested(&parsed.Response.AttestationObject)
	credential, err := c.rp.CreateCredential(u, session, parsed)
	if err != nil {
		return auth.NewPasskey{}, refused(reason(err))
	}
	record, err := json.Marshal(credential)
	if err != nil {
		return auth.NewPasskey{}, fmt.Errorf("encode passkey: %w", err)
	}
	return auth.NewPasskey{CredentialID: credential.ID, Record: record, Synced: credential.Flags.BackupEligible}, nil
}

// BeginAssertion asks for a signature of one of the owner's passkeys, or, with
// no owner, of whichever the user chooses.
func (c *Ceremonies) BeginAssertion(o *auth.PasskeyOwner) (options, state []byte, err error) {
	var assertion *protocol.CredentialAssertion
	var session *webauthn.SessionData
	if o == nil {
		assertion, session, err = c.rp.BeginDiscoverableLogin(webauthn.WithUserVerification(protocol.VerificationRequired))
	} else {
		var u user
		if u, err = userOf(*o); err == nil {
			assertion, session, err = c.rp.BeginLogin(u, webauthn.WithUserVerification(protocol.VerificationRequired))
		}
	}
	if err != nil {
		return nil, nil, fmt.Errorf("ask for a passkey: %w", err)
	}
	return encoded(assertion.Response, session)
}

// Credential reads which credential an assertion claims to be of.
func (*Ceremonies) Credential(answer []byte) ([]byte, error) {
	parsed, err := readAssertion(answer)
	if err != nil {
		return nil, err
	}
	return parsed.RawID, nil
}

func readAssertion(answer []byte) (*protocol.ParsedCredentialAssertionData, error) {
	if len(answer) > maxAnswer {
		return nil, unreadable(errTooLong)
	}
	parsed, err := protocol.ParseCredentialRequestResponseBytes(answer)
	if err != nil {
		return nil, unreadable(reason(err))
	}
	return parsed, nil
}

// FinishAssertion judges the browser's answer.
func (c *Ceremonies) FinishAssertion(o auth.PasskeyOwner, state, answer []byte) (auth.PasskeyUse, error) {
	u, session, err := begun(o, state)
	if err != nil {
		return auth.PasskeyUse{}, err
	}
	parsed, err := readAssertion(answer)
	if err != nil {
		return auth.PasskeyUse{}, err
	}
	if err := u.checkStored(parsed.RawID); err != nil {
		return auth.PasskeyUse{}, refused(err)
	}
	var credential *webauthn.Credential
	if len(session.UserID) == 0 {
		_, credential, err = c.rp.ValidatePasskeyLogin(func(_, handle []byte) (webauthn.User, error) {
			if string(handle) != o.UserID {
				return nil, errors.New("the passkey is of another user")
			}
			return u, nil
		}, session, parsed)
	} else {
		credential, err = c.rp.ValidateLogin(u, session, parsed)
	}
	if err != nil {
		return auth.PasskeyUse{}, refused(reason(err))
	}
	use := auth.PasskeyUse{CredentialID: credential.ID, Cloned: credential.Authenticator.CloneWarning}
	if use.Record, err = json.Marshal(credential); err != nil {
		return auth.PasskeyUse{}, fmt.Errorf("encode passkey: %w", err)
	}
	return use, nil
}

// user is an owner as the library wants to see one.
type user struct {
	auth.PasskeyOwner
	credentials []webauthn.Credential
}

func userOf(o auth.PasskeyOwner) (user, error) {
	u := user{PasskeyOwner: o}
	for _, record := range o.Records {
		var c webauthn.Credential
		if err := json.Unmarshal(record, &c); err != nil {
			return user{}, fmt.Errorf("read stored passkey: %w", err)
		}
		u.credentials = append(u.credentials, c)
	}
	return u, nil
}

// WebAuthnID is the user handle: the account's id, which tells nothing of its
// owner.
func (u user) WebAuthnID() []byte { return []byte(u.UserID) }

// WebAuthnName is what authenticators show beside the site.
func (u user) WebAuthnName() string { return u.Name }

// WebAuthnDisplayName is what authenticators show in place of the name.
func (u user) WebAuthnDisplayName() string { return u.Name }

// WebAuthnCredentials are the passkeys that the owner has.
func (u user) WebAuthnCredentials() []webauthn.Credential { return u.credentials }

func encoded(options any, session *webauthn.SessionData) (shown, state []byte, err error) {
	if shown, err = json.Marshal(options); err == nil {
		state, err = json.Marshal(session)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("encode a passkey ceremony: %w", err)
	}
	return shown, state, nil
}

func begun(o auth.PasskeyOwner, state []byte) (u user, session webauthn.SessionData, err error) {
	if u, err = userOf(o); err != nil {
		return u, session, err
	}
	if err := json.Unmarshal(state, &session); err != nil {
		return u, session, fmt.Errorf("read a passkey ceremony: %w", err)
	}
	return u, session, nil
}

var errTooLong = errors.New("the answer is too long")

// unreadable refuses what is no answer of a browser.
func unreadable(err error) error {
	f := fault.Wrap(fault.ValidationFailed, "The request has invalid fields.", err)
	f.Fields = []fault.Field{{Field: "credential", Message: "is not what navigator.credentials gives, as JSON"}}
	return f
}

// refused is the one answer to every credential that is not good.
func refused(err error) error {
	return fault.Wrap(fault.InvalidCredentials, "The passkey was refused.", err)
}

// reason keeps the kind of the library's error for the log, and none of the
// client's bytes that its details may repeat.
func reason(err error) error {
	if p, ok := errors.AsType[*protocol.Error](err); ok {
		return errors.New(p.Type)
	}
	return errors.New("malformed")
}

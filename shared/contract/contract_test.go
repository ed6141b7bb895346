package contract_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse.internal/shared/contract"
)

var update = flag.Bool("update", false, "write the golden files")

// messages are one example of every message in JSON.
func messages() map[string]any {
	at := time.Date(2026, 1, 2, 3, 4, 5, 678_901_000, time.UTC)
	account := contract.Account{
		ID: someID, Version: 4, Email: "ann@example.com", EmailVerified: true, Roles: []string{"user", "admin"}, Status: contract.StatusActive,
		FirstName: "Ann", LastName: "Example", CreatedAt: at, LastLoginAt: &at,
	}
	bare := account
	bare.FirstName, bare.LastName, bare.LastLoginAt = "", "", nil
	event := func(a contract.Account) *contract.Event {
		return &contract.Event{
			SpecVersion: "1.0", ID: someID, Source: "auth-service", Type: contract.AccountRolesChanged, Subject: a.ID, Time: at,
			DataContentType: "application/json", Data: a,
		}
	}
	return map[string]any{
		"event":      event(account),
		"event_bare": event(bare),
		"report": &contract.Report{V: contract.ReportVersion, Node: "gw-1", Nonce: "n", Address: "http://10.0.0.1:8080", Version: "1.2.3",
			Epoch: 3, Applied: 1003, Head: 1004, AgeMillis: 12.5, Degraded: true},
		"head":           &contract.Head{V: contract.HeadVersion, Sequencer: "auth-1", Epoch: 3, Last: 1004, Oldest: 17, Nodes: 3, Nonces: map[string]string{"gw-1": "n"}},
		"repair_request": &contract.RepairRequest{Node: "gw-1", Epoch: 3, From: 5, To: 9},
		"wake_request":   &contract.WakeRequest{IDs: []string{someID}},
		"wake_answer":    &contract.WakeAnswer{Epoch: 3, Number: 1004},
		"wake_error":     &contract.WakeAnswer{Error: "not active"},
		"jwks": &contract.JWKSet{Keys: []contract.JWK{
			{KeyType: "OKP", Use: contract.KeyUseSignature, KeyOps: []string{"verify"}, Algorithm: "EdDSA", KeyID: "k1", Curve: "Ed25519", X: "AA"},
			{KeyType: "EC", Use: contract.KeyUseSignature, Algorithm: "ES256", KeyID: "k2", Curve: "P-256", X: "AA", Y: "BB"},
			{KeyType: "RSA", Use: contract.KeyUseEvents, KeyID: "k3", N: "CC", E: "AQAB"},
		}},
	}
}

func TestMessages_look_as_they_always_did(t *testing.T) {
	for name, message := range messages() {
		t.Run(name, func(t *testing.T) {
			golden := filepath.Join("testdata", name+".json")
			got, err := json.MarshalIndent(message, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, '\n')
			if *update {
				if err := os.WriteFile(golden, got, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("a running service of another version would not understand this (-want +got):\n%s", diff)
			}
			readBack(t, want, message)
		})
	}
}

// readBack checks that a golden file is understood as the message it is of,
// also when a newer version has added a field.
func readBack(t *testing.T, golden []byte, message any) {
	t.Helper()
	newer := bytes.Replace(golden, []byte("{"), []byte(`{"field_of_a_newer_version": {"x": 1},`), 1)
	for name, data := range map[string][]byte{"as it is": golden, "with a field of a newer version": newer} {
		got := zero(message)
		if err := json.Unmarshal(data, got); err != nil {
			t.Errorf("%s: %v", name, err)
		} else if diff := cmp.Diff(message, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// zero gives a pointer to an empty message of the same type.
func zero(message any) any {
	switch message.(type) {
	case *contract.Event:
		return new(contract.Event)
	case *contract.Report:
		return new(contract.Report)
	case *contract.Head:
		return new(contract.Head)
	case *contract.RepairRequest:
		return new(contract.RepairRequest)
	case *contract.WakeRequest:
		return new(contract.WakeRequest)
	case *contract.WakeAnswer:
		return new(contract.WakeAnswer)
	default:
		return new(contract.JWKSet)
	}
}

func TestSubjects(t *testing.T) {
	s := contract.Subjects{Prefix: "gatehouse"}
	for got, want := range map[string]string{
		s.Batches():                           "gatehouse.revocations.batch",
		s.Heads():                             "gatehouse.revocations.head",
		s.HeadsOf(63):                         "gatehouse.revocations.head.63",
		s.Repair():                            "gatehouse.revocations.repair",
		s.Wake():                              "gatehouse.revocations.wake",
		s.Report("gw-1"):                      "gatehouse.nodes.report.gw-1",
		s.Reports():                           "gatehouse.nodes.report.*",
		s.KeysChanged():                       "gatehouse.keys.changed",
		s.RolesChanged():                      "gatehouse.roles.changed",
		s.Account(contract.AccountRegistered): "gatehouse.events.account.registered",
		s.Accounts():                          "gatehouse.events.account.*",
		s.Dead("users"):                       "gatehouse.dead.users",
		s.AllDead():                           "gatehouse.dead.*",
		s.RevocationStream():                  "GATEHOUSE_REVOCATIONS",
		s.AccountStream():                     "GATEHOUSE_ACCOUNTS",
		s.DeadStream():                        "GATEHOUSE_DEAD",
		contract.Subjects{Prefix: "team.stage-1"}.DeadStream(): "TEAM_STAGE-1_DEAD",
	} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestParseSubjectID(t *testing.T) {
	id := contract.ParseSubjectID(someID)
	want := contract.SubjectID{0x01, 0x9a, 0x6f, 0x3e, 0x7c, 0x1d, 0x7b, 0x42, 0x9f, 0x00, 0x01, 0x23, 0x45, 0x67, 0x89, 0xab}
	if id != want {
		t.Errorf("a UUID is %x, want its bytes", id)
	}
	seen := map[contract.SubjectID]string{id: someID}
	for _, other := range []string{
		"", "ann", "019A6F3E-7C1D-7B42-9F00-0123456789AB", "019a6f3e7c1d7b429f000123456789ab", "{" + someID + "}", "urn:uuid:" + someID,
		someID + " ", "019a6f3e-7c1d-7b42-9f00-0123456789ag", "019a6f3e-7c1d-7b42-9f00_0123456789ab", "019a6f3-e7c1d-7b42-9f00-0123456789ab",
	} {
		got := contract.ParseSubjectID(other)
		if twin, taken := seen[got]; taken {
			t.Errorf("S-T15 %q and %q share an id", other, twin)
		}
		seen[got] = other
	}
	if got, again := contract.ParseSubjectID("ann"), contract.ParseSubjectID("ann"); got != again {
		t.Error("the same text has two ids")
	}
}

func TestClaims_HasRole(t *testing.T) {
	c := contract.Claims{Roles: []string{"user", "admin"}}
	for role, want := range map[string]bool{"admin": true, "user": true, "Admin": false, "adm": false, "": false} {
		if got := c.HasRole(role); got != want {
			t.Errorf("HasRole(%q) is %v", role, got)
		}
	}
}

func TestIsPermission(t *testing.T) {
	for text, want := range map[string]bool{
		"orders:read": true, "orders.v2:read-all:own": true, "a:b:c:d": true, "0:1_": true,
		"": false, "orders": false, ":read": false, "orders:": false, "a::b": false, "a:b:c:d:e": false, "Orders:read": false,
		"orders:*": false, "orders: read": false, "orders:-": false, "a:b,c": false, strings.Repeat("a", 127) + ":b": false,
	} {
		if got := contract.IsPermission(text); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}

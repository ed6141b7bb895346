package manifests

import (
	"net/url"
	"testing"
)

// Each service has credentials of its own for the broker, Redis and its
// database, and none for what it does not need: whoever takes over a gateway has no database.
func TestCompose_S_A2_each_service_has_credentials_of_its_own(t *testing.T) {
	type identity struct{ dependency, user, password string }
	owner := map[identity]string{}
	has := map[string]map[string]bool{}
	for name, s := range compose(t).Services {
		service := program(s)
		switch service {
		case "gateway", "auth-service", "user-service":
		default:
			continue
		}
		if has[service] == nil {
			has[service] = map[string]bool{}
		}
		for dependency := range s.Environment {
			has[service][dependency] = true
		}
		for _, dependency := range []string{"NATS_URL", "REDIS_URL", "DATABASE_URL"} {
			value := s.Environment[dependency]
			if value == nil {
				continue
			}
			u, err := url.Parse(*value)
			if err != nil {
				t.Fatal(err)
			}
			password, _ := u.User.Password()
			if password == "" {
				t.Errorf("%s has no password in %s", name, dependency)
			}
			if dependency == "REDIS_URL" && (u.User.Username() != service || u.Path != "/0") {
				t.Errorf("%s is %q in Redis, which has a user of the service's name for database 0", name, u.User.Username())
			}
			id := identity{dependency, u.User.Username(), password}
			if other, taken := owner[id]; taken && other != service {
				t.Errorf("%s and %s have the same credentials in %s", other, service, dependency)
			}
			owner[id] = service
		}
	}
	for service, none := range map[string]string{"gateway": "DATABASE_URL", "user-service": "REDIS_URL"} {
		if has[service][none] {
			t.Errorf("%s has %s, which it does not need", service, none)
		}
	}
	if len(owner) != 7 {
		t.Errorf("there are credentials of %d kinds only", len(owner))
	}
}

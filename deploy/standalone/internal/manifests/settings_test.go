package manifests

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gatehouse.internal/auth-service/authapp"
	"gatehouse.internal/gateway/gatewayapp"
	"gatehouse.internal/shared/config"
	"gatehouse.internal/user-service/userapp"
)

// root is the project's folder.
const root = "../../../.."

// encryptionKey is 32 bytes, of no use to anybody.
const encryptionKey = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="

// assertionKey is an Ed25519 key, of no use to anybody.
const assertionKey = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f\n-----END PRIVATE KEY-----\n"

// check loads the settings of a service exactly as the service does.
func check(service string, environ map[string]string) error {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(environ)) {
		list = append(list, name+"="+environ[name])
	}
	switch service {
	case "gateway":
		return config.Load(new(gatewayapp.Config), list, gatewayapp.EnvPrefix)
	case "auth-service":
		return config.Load(new(authapp.Config), list, authapp.Prefix)
	case "user-service":
		return config.Load(new(userapp.Config), list, userapp.EnvPrefix)
	}
	return errors.New("there is no service " + service)
}

// readEnv reads an environment file: NAME=value lines and comments.
func readEnv(t *testing.T, path string) map[string]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]string{}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, value, ok := strings.Cut(line, "=")
		if _, twice := values[name]; !ok || twice || name != strings.TrimSpace(name) {
			t.Errorf("%s: %q is malformed or given twice", path, line)
		}
		values[name] = value
	}
	return values
}

// secrets gives a value to every secret that deploy/env/secrets.env names.
func secrets(t *testing.T) map[string]string {
	t.Helper()
	values := readEnv(t, "deploy/env/secrets.env")
	for name, value := range values {
		if value != "" {
			t.Errorf("deploy/env/secrets.env holds a value for %s", name)
		}
		values[name] = "p" + strings.ToLower(strings.ReplaceAll(name, "_", ""))
	}
	values["GATEHOUSE_ENCRYPTION_KEY"] = encryptionKey
	values["GATEHOUSE_ASSERTION_KEY"] = assertionKey
	return values
}

// addedSettings are what docker-compose.yml and the Kubernetes secrets add to
// the settings in files.
func addedSettings(service string) map[string]string {
	added := map[string]map[string]string{
		"gateway":      {"REDIS_URL": "redis://gateway:x@redis:6379/0", "GATEWAY_NODE_ID": "gateway-1", "GATEWAY_ASSERTION_KEY": assertionKey},
		"auth-service": {"REDIS_URL": "redis://auth-service:x@redis:6379/0", "DATABASE_URL": "postgres://x:x@db/x", "AUTH_ENCRYPTION_KEY": encryptionKey, "AUTH_ADMIN_PASSWORD": "correct horse battery staple"},
		"user-service": {"DATABASE_URL": "postgres://x:x@db/x"},
	}[service]
	added["NATS_URL"] = "nats://x:x@nats:4222"
	return added
}

func TestEnvironmentFiles(t *testing.T) {
	for _, service := range []string{"gateway", "auth-service", "user-service"} {
		environ := readEnv(t, "deploy/env/"+service+".env")
		maps.Copy(environ, addedSettings(service))
		if err := check(service, environ); err != nil {
			t.Errorf("deploy/env/%s.env: %v", service, err)
		}
		environ[strings.ToUpper(strings.TrimSuffix(service, "-service"))+"_MISSPELT"] = "x"
		if err := check(service, environ); err == nil {
			t.Errorf("%s takes a misspelt setting: this test tells nothing", service)
		}
	}
}

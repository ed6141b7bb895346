package manifests

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/dotenv"
	"github.com/compose-spec/compose-go/v2/types"

	"gatehouse.internal/deploy/standalone/internal/example"
)

// load reads docker-compose.yml as Compose does, with these variables.
func load(t *testing.T, environ map[string]string) (*types.Project, error) {
	t.Helper()
	var list []string
	for name, value := range environ {
		list = append(list, name+"="+value)
	}
	folder, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	options, err := cli.NewProjectOptions([]string{filepath.Join(folder, "docker-compose.yml")},
		cli.WithWorkingDirectory(folder), cli.WithEnv(list), cli.WithResolvedPaths(true))
	if err != nil {
		t.Fatal(err)
	}
	return options.LoadProject(t.Context())
}

// compose reads docker-compose.yml with all secrets set.
func compose(t *testing.T) *types.Project {
	t.Helper()
	project, err := load(t, secrets(t))
	if err != nil {
		t.Fatal(err)
	}
	return project
}

// program is the service whose program a container runs, by its image.
func program(s types.ServiceConfig) string { return strings.TrimPrefix(s.Image, "gatehouse/") }

func TestCompose_topology(t *testing.T) {
	want := []string{
		"auth-service-1", "auth-service-2", "example", "gateway-1", "gateway-2", "gateway-3", "mailbox", "nats", "postgres", "redis", "user-service",
	}
	project := compose(t)
	if got := slices.Sorted(maps.Keys(project.Services)); !slices.Equal(got, want) {
		t.Errorf("services are %v, want %v", got, want)
	}
	for name, s := range project.Services {
		for _, port := range s.Ports {
			if !strings.HasPrefix(name, "gateway-") || port.Target != 8080 || port.HostIP != "127.0.0.1" {
				t.Errorf("%s publishes %s:%s->%d; only the gateways' requests come in from outside", name, port.HostIP, port.Published, port.Target)
			}
		}
		for other := range s.DependsOn {
			if _, known := project.Services[other]; !known {
				t.Errorf("%s depends on %s, which is not there", name, other)
			}
		}
		for _, v := range s.Volumes {
			if v.Type != types.VolumeTypeBind {
				continue
			}
			if _, err := os.Stat(v.Source); err != nil {
				t.Errorf("%s mounts %s: %v", name, v.Source, err)
			}
		}
	}
	for name, network := range project.Networks {
		if name != "front" && name != "default" && !network.Internal {
			t.Errorf("network %s reaches the world", name)
		}
	}
}

func TestCompose_secretsAreNeeded(t *testing.T) {
	all := secrets(t)
	for name := range all {
		fewer := maps.Clone(all)
		delete(fewer, name)
		project, err := load(t, fewer)
		if err == nil && !declaresSecret(project, name) {
			t.Errorf("docker-compose.yml does not use %s", name)
		}
	}
	if _, err := load(t, nil); err == nil {
		t.Error("it starts without any secret")
	}
}

// TestCompose_severalLines holds deploy/env/secrets.env to what it says about
// PEM: Compose reads a value of several lines between double quotes.
func TestCompose_severalLines(t *testing.T) {
	file := filepath.Join(t.TempDir(), "my-secrets.env")
	if err := os.WriteFile(file, []byte("A=b\nGATEHOUSE_ASSERTION_KEY=\""+assertionKey+"\"\nC=d\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	values, err := dotenv.Read(file)
	if err != nil || values["GATEHOUSE_ASSERTION_KEY"] != assertionKey || values["C"] != "d" {
		t.Errorf("%v, %q", err, values)
	}
}

// declaresSecret reports whether a secret of the project is taken from the
// variable; Compose itself looks whether that is set.
func declaresSecret(project *types.Project, name string) bool {
	for _, secret := range project.Secrets {
		if secret.Environment == name {
			return true
		}
	}
	return false
}

func TestCompose_settings(t *testing.T) {
	project := compose(t)
	values := secrets(t)
	for name, s := range project.Services {
		switch program(s) {
		case "gateway", "auth-service", "user-service":
		default:
			continue
		}
		environ := map[string]string{}
		for key, value := range s.Environment {
			if value == nil {
				t.Errorf("%s: %s has no value", name, key)
				continue
			}
			environ[key] = *value
		}
		for _, mounted := range s.Secrets {
			// Where Compose would mount the secret, a file takes its place.
			file := filepath.Join(t.TempDir(), mounted.Source)
			if err := os.WriteFile(file, []byte(values[project.Secrets[mounted.Source].Environment]), 0o600); err != nil {
				t.Fatal(err)
			}
			for key, value := range environ {
				if value == "/run/secrets/"+mounted.Source {
					environ[key] = file
				}
			}
		}
		if err := check(program(s), environ); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCompose_containment(t *testing.T) {
	for name, s := range compose(t).Services {
		if !strings.HasPrefix(s.Image, "gatehouse/") {
			if s.Build != nil || s.HealthCheck == nil || s.Restart == "" {
				t.Errorf("%s: a server of others is not built, has a health check and is restarted", name)
			}
			continue
		}
		if !s.ReadOnly || !slices.Contains(s.CapDrop, "ALL") || !slices.Contains(s.SecurityOpt, "no-new-privileges:true") || s.Privileged || s.NetworkMode != "" {
			t.Errorf("%s may do more than it needs", name)
		}
		source := ""
		if s.Build != nil && s.Build.Args["SERVICE"] != nil {
			source = *s.Build.Args["SERVICE"]
		}
		if _, err := os.Stat(filepath.Join(root, source, "main.go")); source == "" || err != nil {
			t.Errorf("%s is built from %q: %v", name, source, err)
		}
		if _, err := os.Stat(filepath.Join(s.Build.Context, s.Build.Dockerfile)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCompose_routes(t *testing.T) {
	got, err := os.ReadFile(filepath.Join(root, "deploy/routes/example.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if want := example.Routes("http://example:8080", "http://mailbox:8080"); string(got) != want {
		t.Errorf("deploy/routes/example.yaml is not what `devtools routes -example-url http://example:8080 -mailbox-url http://mailbox:8080` prints")
	}
}

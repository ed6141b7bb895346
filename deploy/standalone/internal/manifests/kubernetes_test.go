package manifests

import (
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// namespace is where all objects are.
const namespace = "gatehouse"

// cluster is the manifests, by kind and name.
type cluster struct {
	deployments map[string]deployment
	services    map[string]service
	configs     map[string]map[string]string
	budgets     map[string]disruptionBudget
	policies    map[string]networkPolicy
}

// apply reads the manifests as a cluster would.
func apply(t *testing.T) cluster {
	t.Helper()
	c := cluster{map[string]deployment{}, map[string]service{}, map[string]map[string]string{}, map[string]disruptionBudget{}, map[string]networkPolicy{}}
	for _, o := range objects(t) {
		if o.Kind != "Namespace" && o.Metadata.Namespace != namespace {
			t.Errorf("%s: %s %s is in namespace %q", o.file, o.Kind, o.Metadata.Name, o.Metadata.Namespace)
		}
		if !regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`).MatchString(o.Metadata.Name) {
			t.Errorf("%s: %s has the name %q", o.file, o.Kind, o.Metadata.Name)
		}
		switch o.APIVersion + " " + o.Kind {
		case "v1 Namespace":
			if o.Metadata.Name != namespace {
				t.Errorf("%s: the namespace is %s", o.file, o.Metadata.Name)
			}
		case "v1 ConfigMap":
			c.configs[o.Metadata.Name] = o.Data
		case "v1 Service":
			c.services[o.Metadata.Name] = decode[service](t, o)
		case "apps/v1 Deployment":
			c.deployments[o.Metadata.Name] = decode[deployment](t, o)
		case "policy/v1 PodDisruptionBudget":
			c.budgets[o.Metadata.Name] = decode[disruptionBudget](t, o)
		case "networking.k8s.io/v1 NetworkPolicy":
			c.policies[o.Metadata.Name] = decode[networkPolicy](t, o)
		default:
			t.Errorf("%s: unknown kind %s %s", o.file, o.APIVersion, o.Kind)
		}
	}
	return c
}

// ports gives the ports of a deployment's container by name.
func (d deployment) ports() map[string]int {
	all := map[string]int{}
	for _, p := range d.Template.Spec.Containers[0].Ports {
		all[p.Name] = p.ContainerPort
	}
	return all
}

func TestKubernetes_topology(t *testing.T) {
	c := apply(t)
	want := []string{"auth-service", "gateway", "user-service"}
	for kind, names := range map[string][]string{
		"Deployment": slices.Sorted(maps.Keys(c.deployments)), "Service": slices.Sorted(maps.Keys(c.services)),
		"PodDisruptionBudget": slices.Sorted(maps.Keys(c.budgets)), "NetworkPolicy": slices.Sorted(maps.Keys(c.policies)),
	} {
		if !slices.Equal(names, want) {
			t.Errorf("%s: %v, want %v", kind, names, want)
		}
	}
	for name, d := range c.deployments {
		labels, ports := d.Template.Metadata.Labels, d.ports()
		for what, selector := range map[string]map[string]string{
			"Deployment": d.Selector.MatchLabels, "Service": c.services[name].Selector,
			"PodDisruptionBudget": c.budgets[name].Selector.MatchLabels, "NetworkPolicy": c.policies[name].PodSelector.MatchLabels,
			"topologySpreadConstraints": d.Template.Spec.TopologySpreadConstraints[0].LabelSelector.MatchLabels,
		} {
			if len(selector) == 0 || !contains(labels, selector) {
				t.Errorf("%s %s selects %v, the pods have %v", what, name, selector, labels)
			}
		}
		if d.Replicas < 2 {
			t.Errorf("%s has %d replicas", name, d.Replicas)
		}
		for _, p := range c.services[name].Ports {
			if ports[p.TargetPort] == 0 || p.TargetPort == "ops" {
				t.Errorf("Service %s leads to port %s", name, p.TargetPort)
			}
		}
		for _, rule := range c.policies[name].Ingress {
			for _, p := range rule.Ports {
				if ports[p.Port] == 0 {
					t.Errorf("NetworkPolicy %s lets in at port %s", name, p.Port)
				}
			}
			for _, from := range rule.From {
				if _, known := c.deployments[from.PodSelector.MatchLabels["app.kubernetes.io/name"]]; !known {
					t.Errorf("NetworkPolicy %s lets in %v", name, from.PodSelector.MatchLabels)
				}
			}
		}
	}
}

// contains reports whether the labels have all that the selector wants.
func contains(labels, selector map[string]string) bool {
	for key, value := range selector {
		if labels[key] != value {
			return false
		}
	}
	return true
}

// colon gives the address of a port on every interface.
func colon(port int) string { return ":" + strconv.Itoa(port) }

func TestKubernetes_containment(t *testing.T) {
	no := func(b *bool) bool { return b != nil && !*b }
	for name, d := range apply(t).deployments {
		p := d.Template.Spec
		if len(p.Containers) != 1 {
			t.Fatalf("%s has %d containers", name, len(p.Containers))
		}
		c := p.Containers[0]
		if !p.SecurityContext.RunAsNonRoot || p.SecurityContext.RunAsUser == 0 || p.SecurityContext.SeccompProfile.Type != "RuntimeDefault" || !no(p.AutomountServiceAccountToken) {
			t.Errorf("the pods of %s may do more than they need", name)
		}
		if !no(c.SecurityContext.AllowPrivilegeEscalation) || !c.SecurityContext.ReadOnlyRootFilesystem || !slices.Contains(c.SecurityContext.Capabilities.Drop, "ALL") {
			t.Errorf("the container of %s may do more than it needs", name)
		}
		if !no(p.EnableServiceLinks) {
			t.Errorf("%s would get variables from the cluster that it refuses", name)
		}
		if _, tag, ok := strings.Cut(c.Image, ":"); !ok || tag == "latest" {
			t.Errorf("%s runs %s, whatever that is", name, c.Image)
		}
		if c.Resources.Limits["memory"] == "" || c.Resources.Requests["memory"] == "" || c.Resources.Requests["cpu"] == "" {
			t.Errorf("%s does not say what it needs: %v", name, c.Resources)
		}
		for what, probe := range map[string]probe{"/livez": c.LivenessProbe, "/readyz": c.ReadinessProbe} {
			if probe.HTTPGet.Path != what || probe.HTTPGet.Port != "ops" {
				t.Errorf("%s is asked for %s at %s:%s", name, what, probe.HTTPGet.Port, probe.HTTPGet.Path)
			}
		}
		if p.TerminationGracePeriodSeconds < 30 || d.Strategy.RollingUpdate.MaxUnavailable != 0 {
			t.Errorf("requests are lost when %s is replaced", name)
		}
	}
}

func TestKubernetes_settings(t *testing.T) {
	c := apply(t)
	for name, d := range c.deployments {
		spec := d.Template.Spec
		environ := map[string]string{}
		for _, from := range spec.Containers[0].EnvFrom {
			if from.ConfigMapRef.Name != "" {
				maps.Copy(environ, c.configs[from.ConfigMapRef.Name])
			}
			if from.SecretRef.Name != "" && from.SecretRef.Name != name {
				t.Errorf("%s takes the secret of %s", name, from.SecretRef.Name)
			}
		}
		secret := addedSettings(name) // what namespace.yaml says to make
		if name == "auth-service" {
			secret["AUTH_SMTP_URL"] = "smtps://x:x@mail.example.com:465"
		}
		maps.Copy(environ, secret)
		for _, variable := range spec.Containers[0].Env {
			environ[variable.Name] = "from-the-pod"
		}
		if err := check(name, environ); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		ports, prefix := d.ports(), strings.ToUpper(strings.TrimSuffix(name, "-service"))
		if environ[prefix+"_ADDR"] != colon(ports["http"]) || environ[prefix+"_OPS_ADDR"] != colon(ports["ops"]) || d.Template.Metadata.Annotations["prometheus.io/port"] != colon(ports["ops"])[1:] {
			t.Errorf("%s listens elsewhere than its ports %v say", name, ports)
		}
		volumes := map[string]bool{}
		for _, v := range spec.Volumes {
			_, known := c.configs[v.ConfigMap.Name]
			volumes[v.Name] = known
		}
		for _, m := range spec.Containers[0].VolumeMounts {
			if !volumes[m.Name] || !m.ReadOnly {
				t.Errorf("%s mounts %s", name, m.Name)
			}
		}
	}
	for file, text := range c.configs["routes"] {
		var parsed map[string]any
		if err := yaml.Unmarshal([]byte(text), &parsed); err != nil || parsed["routes"] == nil {
			t.Errorf("routes/%s: %v, %v", file, parsed, err)
		}
	}
	for _, address := range []string{c.configs["gateway"]["GATEWAY_AUTH_URL"], c.configs["gateway"]["GATEWAY_USER_URL"], c.configs["user-service"]["USER_AUTH_URL"]} {
		host, port, _ := strings.Cut(strings.TrimPrefix(address, "http://"), ":")
		if s := c.services[host]; len(s.Ports) == 0 || colon(s.Ports[0].Port) != ":"+port {
			t.Errorf("%s leads nowhere", address)
		}
	}
}

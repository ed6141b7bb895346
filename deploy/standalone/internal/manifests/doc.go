// Package manifests holds the files by which the system is deployed to what the
// services understand: docker-compose.yml, the environment files, the broker's
// configuration and the Kubernetes manifests. It has tests alone, which need no
// network. It promises that a file which passes names no setting that a service
// refuses, no port that nobody listens on, and no permission too few; it refuses
// permissions too many.
package manifests

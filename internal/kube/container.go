package kube

import (
	"fmt"
	"strconv"

	"github.com/libresh/libre/internal/describe"
	"github.com/libresh/libre/internal/lazyregexp"
)

// containerSecurity sets what Pod Security restricted requires of a container, and a read-only
// root file system:
// https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted
var containerSecurity = securityContext{ReadOnlyRootFilesystem: true, Capabilities: capabilities{Drop: []string{"ALL"}}}

// user matches UID or UID:GID.
var user = lazyregexp.New(`^([0-9]+)(?::([0-9]+))?$`)

// podSecurity returns the user and group that a component's pods run as.
func podSecurity(c describe.Component) (podSecurityContext, error) {
	security := podSecurityContext{RunAsNonRoot: true, SeccompProfile: typed{"RuntimeDefault"}}
	if c.User == "" {
		return security, nil
	}
	ids := user().FindStringSubmatch(c.User)
	if ids == nil {
		return security, fmt.Errorf("%q is not a numeric user: set user to UID or UID:GID in the definition", c.User)
	}
	uid, err := strconv.ParseInt(ids[1], 10, 32)
	if err != nil || uid == 0 {
		return security, fmt.Errorf("the image runs as user %s: Kubernetes' Pod Security restricted needs another than root, so set user in the definition", c.User)
	}
	security.RunAsUser = &uid
	if ids[2] != "" {
		gid, err := strconv.ParseInt(ids[2], 10, 32)
		if err != nil {
			return security, fmt.Errorf("%q is not a numeric user: %w", c.User, err)
		}
		security.RunAsGroup = &gid
	}
	return security, nil
}

func resourcesOf(r *describe.Resources) *resources {
	if r == nil {
		return nil
	}
	return &resources{Requests: amounts(r.Requests), Limits: amounts(r.Limits)}
}

func amounts(a *describe.Amounts) map[string]string {
	if a == nil {
		return nil
	}
	all := map[string]string{}
	if a.CPU != "" {
		all["cpu"] = a.CPU
	}
	if a.Memory != "" {
		all["memory"] = a.Memory
	}
	return all
}

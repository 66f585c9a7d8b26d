package registry

import (
	"strings"
	"testing"
)

func TestPrefixIsARegistryWithItsHost(t *testing.T) {
	for _, prefix := range []string{"registry.example", "registry.example/coop", "registry.example/coop/apps/", "localhost", "localhost:5000/coop", "127.0.0.1:5000", "[::1]:5000/coop", "docker.io/coop", "Registry.Example/coop_a.b-c"} {
		if err := CheckPrefix(prefix); err != nil {
			t.Errorf("%s: %v", prefix, err)
		}
	}
	for prefix, want := range map[string]string{
		"":                        "empty",
		"oci://registry.example":  "scheme",
		"coop":                    "docker.io/coop",
		"registry.example/Coop":   "upper case",
		"registry.example/a:1":    "tag",
		"registry.example:0":      "port",
		"registry.example:http/x": "port",
		"registry .example":       "space",
		"registry.example/a b":    "space",
		"registry.example/a//b":   "namespace",
		"registry.example/.":      "namespace",
		"registry.example/ä":      "namespace",
		"registry_x.example/a":    "host",
		"u:p@registry.example":    "libre login",
	} {
		if err := CheckPrefix(prefix); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", prefix, err, want)
		}
	}
	if _, err := NewClient("me:hunter2@registry.example", Options{}); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("a password is repeated: %v", err)
	}
}

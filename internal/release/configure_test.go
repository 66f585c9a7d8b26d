package release

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/libresh/libre/internal/catalog"
)

// configured puts a definition's configuration, as Nix gives it, over an image's.
func configured(t *testing.T, definition string, has v1.Config) v1.Config {
	t.Helper()
	var c catalog.Config
	if err := json.Unmarshal([]byte(definition), &c); err != nil {
		t.Fatal(err)
	}
	configure(c)(&has)
	return has
}

// An entrypoint without a command runs alone: upstream's command was for upstream's
// entrypoint.
func TestEntrypointResetsCommand(t *testing.T) {
	for _, test := range []struct {
		name, definition    string
		entrypoint, command []string
		wantEntry, wantCmd  []string
	}{
		{"nothing said", `{}`, []string{"/docker-entrypoint.sh"}, []string{"nginx", "-g", "daemon off;"}, []string{"/docker-entrypoint.sh"}, []string{"nginx", "-g", "daemon off;"}},
		{"entrypoint alone", `{"entrypoint":["/bin/migrate"]}`, []string{"/entrypoint"}, []string{"gunicorn", "app"}, []string{"/bin/migrate"}, nil},
		{"entrypoint alone, upstream has a command only", `{"entrypoint":["node"]}`, nil, []string{"node", "server.js"}, []string{"node"}, nil},
		{"an empty entrypoint", `{"entrypoint":[]}`, []string{"/entrypoint"}, []string{"serve"}, []string{}, nil},
		{"both", `{"entrypoint":["/init"],"command":["web"]}`, []string{"/entrypoint"}, []string{"serve", "--dev"}, []string{"/init"}, []string{"web"}},
		{"command alone", `{"command":["worker"]}`, []string{"/entrypoint"}, []string{"serve"}, []string{"/entrypoint"}, []string{"worker"}},
		{"an empty command", `{"command":[]}`, []string{"/entrypoint"}, []string{"serve"}, []string{"/entrypoint"}, []string{}},
	} {
		got := configured(t, test.definition, v1.Config{Entrypoint: test.entrypoint, Cmd: test.command})
		if diff := cmp.Diff(v1.Config{Entrypoint: test.wantEntry, Cmd: test.wantCmd}, got); diff != "" {
			t.Errorf("%s:\n%s", test.name, diff)
		}
	}
}

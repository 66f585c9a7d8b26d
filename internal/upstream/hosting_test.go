package upstream_test

import (
	"testing"

	"github.com/libresh/libre/internal/upstream"
)

func TestHosting(t *testing.T) {
	forgejo := map[string]string{"FORGEJO_SERVER_URL": "http://git.example:3000/forge"}
	runner := map[string]string{"FORGEJO_ACTIONS": "true", "GITHUB_SERVER_URL": "https://git.example"}
	gitea := map[string]string{"GITEA_ACTIONS": "true", "GITHUB_SERVER_URL": "https://git.example"}
	enterprise := map[string]string{"GITHUB_SERVER_URL": "https://git.example"}
	for _, test := range []struct {
		location, kind string
		environment    map[string]string
		want           string // kind, server, repository
	}{
		{"https://github.com/coop/catalogue", "", nil, "github https://github.com coop/catalogue"},
		{"https://user:password@github.com/coop/catalogue.git", "", nil, "github https://github.com coop/catalogue"},
		{"git@github.com:coop/catalogue.git", "", nil, "github https://github.com coop/catalogue"},
		{"ssh://git@github.com/coop/catalogue.git/", "", nil, "github https://github.com coop/catalogue"},
		{"https://coop.ghe.com/coop/catalogue", "", nil, "github https://coop.ghe.com coop/catalogue"},
		{"https://codeberg.org/coop/catalogue.git", "", nil, "forgejo https://codeberg.org coop/catalogue"},
		{"https://git.example/coop/catalogue", "", runner, "forgejo https://git.example coop/catalogue"},
		{"https://git.example/coop/catalogue", "", gitea, "forgejo https://git.example coop/catalogue"},
		{"https://git.example/coop/catalogue", "", enterprise, "github https://git.example coop/catalogue"},
		{"https://github.com/coop/catalogue", "", runner, "github https://github.com coop/catalogue"},
		{"http://git.example:3000/forge/coop/catalogue.git", "", forgejo, "forgejo http://git.example:3000/forge coop/catalogue"},
		{"ssh://git@git.example:2222/coop/catalogue.git", "", forgejo, "forgejo http://git.example:3000/forge coop/catalogue"},
		{"github.com:coop/catalogue.git", "", nil, "github https://github.com coop/catalogue"},
		{"git@git.example:coop/catalogue.git", "forgejo", nil, "forgejo https://git.example coop/catalogue"},
		{"https://git.example/coop/catalogue", "forgejo", enterprise, "forgejo https://git.example coop/catalogue"},

		{"https://git.example/coop/catalogue", "", nil, `is at git.example: set "forge: github" or "forge: forgejo" in libre.yaml`},
		{"-oProxyCommand=x:coop/catalogue", "", nil, "is at no forge: pull requests need an https or ssh address on GitHub or Forgejo"},
		{"/srv/git/catalogue.git", "", nil, "is at no forge: pull requests need an https or ssh address on GitHub or Forgejo"},
		{"file:///srv/git/catalogue.git", "", nil, "is at no forge: pull requests need an https or ssh address on GitHub or Forgejo"},
		{"https://user:password@github.com/catalogue", "", nil, "is at https://user:xxxxx@github.com/catalogue, expected an address that ends in OWNER/REPOSITORY"},
	} {
		h, err := upstream.HostingOf(test.location, test.kind, func(name string) string { return test.environment[name] })
		var got string
		if err != nil {
			got = err.Error()
		} else {
			got = h.Kind + " " + h.Server.String() + " " + h.String()
		}
		if got != test.want {
			t.Errorf("%s %v: %s, expected %s", test.location, test.environment, got, test.want)
		}
	}
}

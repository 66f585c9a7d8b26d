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
	job := map[string]string{"GITLAB_CI": "true", "CI_SERVER_URL": "https://git.example:8443/gitlab"}
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
		{"https://gitlab.com/coop/apps/catalogue.git", "", nil, "gitlab https://gitlab.com coop/apps/catalogue"},
		{"git@gitlab.com:coop/catalogue.git", "", nil, "gitlab https://gitlab.com coop/catalogue"},
		{"https://gitlab.com/coop/catalogue", "", job, "gitlab https://gitlab.com coop/catalogue"},
		{"https://gitlab-ci-token:x@git.example:8443/gitlab/coop/apps/catalogue.git", "", job, "gitlab https://git.example:8443/gitlab coop/apps/catalogue"},
		{"ssh://git@git.example:2222/coop/apps/catalogue.git", "", job, "gitlab https://git.example:8443/gitlab coop/apps/catalogue"},
		{"https://git.example/a/b/c/catalogue", "gitlab", nil, "gitlab https://git.example a/b/c/catalogue"},
		{"https://git.example/coop/catalogue", "", map[string]string{"GITLAB_HOST": "git.example"}, "gitlab https://git.example coop/catalogue"},
		{"https://gitlab.com/../x/catalogue", "", nil, "is at https://gitlab.com/../x/catalogue, expected an address that ends in OWNER/REPOSITORY"},
		{"https://gitlab.com/catalogue", "", nil, "is at https://gitlab.com/catalogue, expected an address that ends in OWNER/REPOSITORY"},

		{"https://git.example/coop/catalogue", "", nil, `is at git.example: set "forge: github", "forge: forgejo" or "forge: gitlab" in libre.yaml`},
		{"-oProxyCommand=x:coop/catalogue", "", nil, "is at no forge: pull requests need an https or ssh address on GitHub, Forgejo or GitLab"},
		{"/srv/git/catalogue.git", "", nil, "is at no forge: pull requests need an https or ssh address on GitHub, Forgejo or GitLab"},
		{"file:///srv/git/catalogue.git", "", nil, "is at no forge: pull requests need an https or ssh address on GitHub, Forgejo or GitLab"},
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

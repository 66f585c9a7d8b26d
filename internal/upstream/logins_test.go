package upstream

import (
	"net/url"
	"os"
	"path/filepath"
	"testing"
)

// Who gets which login from the files that git, curl and Nix read, and which logins nobody
// gets.
func TestLoginsOfFiles(t *testing.T) {
	home := t.TempDir()
	netrc := "macdef init\nmachine macro.example login m password macro\n\n" +
		"# machine comment.example login c password comment\n" +
		"machine git.example login ada password s1 machine two.example password \"s 2\\\"\"\n" +
		"machine 127.0.0.1\n\tlogin ada\n\taccount x\n\tpassword s3\n" +
		"machine none.example login ada\nmachine port.example:8443 login p password s4\n" +
		"default login anonymous password everybody\n"
	if err := os.WriteFile(filepath.Join(home, ".netrc"), []byte(netrc), 0o600); err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(home, "of-nix")
	if err := os.WriteFile(other, []byte("machine nix.example login n password s5\nmachine git.example login n password later\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	environment := map[string]string{"HOME": home}
	c, err := New(Config{Getenv: func(name string) string { return environment[name] }, Nix: NixLogins{
		AccessTokens: "github.com=gh gitlab.example=PAT:pat gitlab.example/group=OAuth2:oauth forge.example:3000=f =x odd two.example=first",
		Netrc:        other,
	}})
	if err != nil {
		t.Fatal(err)
	}
	for place, want := range map[string]string{
		"https://git.example/a/b.git":          "ada:s1",
		"https://git.example:8443/a":           "ada:s1",
		"https://GIT.example/a":                "ada:s1",
		"http://git.example/a":                 "", // without TLS
		"https://evil.git.example/a":           "",
		"https://git.example.evil/a":           "",
		"https://two.example/a":                anyUser + ":first", // a token comes before a password
		"http://127.0.0.1:4000/a":              "ada:s3",
		"https://none.example/a":               "",
		"https://port.example:8443/a":          "p:s4",
		"https://port.example/a":               "",
		"https://nix.example/a":                "n:s5",
		"https://macro.example/a":              "",
		"https://comment.example/a":            "",
		"https://anything.example/a":           "", // the entry default is for nobody
		"https://github.com/o/r":               anyUser + ":gh",
		"https://api.github.com/repos/o/r":     anyUser + ":gh",
		"https://codeload.github.com/o/r":      "",
		"https://gitlab.example/other/r":       anyUser + ":pat",
		"https://gitlab.example/group/r":       "oauth2:oauth",
		"https://gitlab.example/groups/r":      anyUser + ":pat",
		"https://forge.example:3000/o/r":       anyUser + ":f",
		"https://forge.example/o/r":            "",
		"https://x@git.example.evil/a":         "",
		"ssh://git@git.example/a":              "",
		"https://git.example@evil.example/a":   "",
		"https://evil.example/git.example":     "",
		"https://evil.example?x=git.example/a": "",
	} {
		location, err := url.Parse(place)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if token, found := c.tokens.forURL(location); found {
			got = token.login() + ":" + token.token
		}
		if got != want || c.HasLogin(place) != (want != "") {
			t.Errorf("%s sees %q, want %q", place, got, want)
		}
	}
}

// Errors of servers without a login, and the commands to type.
func TestHints(t *testing.T) {
	c, _ := newClient(t, "")
	for place, want := range map[string]string{
		"https://github.com/o/r/archive/v1.tar.gz":        "set GITHUB_TOKEN or use gh auth login",
		"https://gitlab.com/o/r.git":                      "set GITLAB_TOKEN, and GITLAB_HOST to https://gitlab.com",
		"https://git.example/g/r/-/archive/v1/r.tar.gz":   "set GITLAB_TOKEN, and GITLAB_HOST to https://git.example",
		"https://git.example:3000/api/v1/repos/o/r":       "set FORGEJO_TOKEN, and FORGEJO_SERVER_URL to https://git.example:3000",
		"https://git.example:3000/o/r.git":                "write machine git.example login USER password TOKEN into ~/.netrc",
		"https://files.example/private/source-1.2.tar.xz": "write machine files.example login USER password TOKEN into ~/.netrc",
		"git@git.example:o/r":                             "",
		"/srv/git/r":                                      "",
	} {
		if got := c.Hint(place); got != want {
			t.Errorf("%s: %q, want %q", place, got, want)
		}
	}
}

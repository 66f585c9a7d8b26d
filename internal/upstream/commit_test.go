package upstream

import (
	"context"
	"errors"
	"os/exec"
	"strings"
	"testing"

	"github.com/libresh/libre/internal/upstream/forgetest"
)

func commitClient(t *testing.T, forge *forgetest.Forge) *Client {
	t.Helper()
	environment := forge.Environment()
	client, err := New(Config{Getenv: func(name string) string { return environment[name] }})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func TestCommitOfABranchOrATag(t *testing.T) {
	forge := forgetest.GitHub(t)
	repo := forge.AddRepo("suite/notes")
	repo.Commit(map[string]string{"a.txt": "one\n", "moved.txt": strings.Repeat("same\n", 40)})
	onMain := repo.Commit(map[string]string{"a.txt": "two\n", "moved.txt": "", "renamed.txt": strings.Repeat("same\n", 40)})
	repo.Commit(map[string]string{"a.txt": "three\n"})
	onBranch := repo.CommitTo("next", map[string]string{"b.txt": "b\n"})
	onTag := repo.CommitTo("old", map[string]string{"c.txt": "c\n"})
	repo.TagAnnotated("v0.1", onTag)
	git := func(arguments ...string) string {
		out, err := exec.Command("git", append([]string{"-C", repo.Dir, "-c", "user.name=A", "-c", "user.email=a@example.org"}, arguments...)...).Output()
		if err != nil {
			t.Fatalf("git %q: %v", arguments, err)
		}
		return strings.TrimSpace(string(out))
	}
	git("update-ref", "-d", "refs/heads/old")
	merge := git("commit-tree", "refs/heads/next^{tree}", "-p", "refs/heads/next~1", "-p", "refs/heads/next", "-m", "Merge")
	git("update-ref", "refs/heads/merged", merge)
	root := git("rev-list", "--max-parents=0", "main")
	fork := repo.CommitToFork(map[string]string{"a.txt": "evil\n"})

	for _, filter := range []string{"false", "true"} {
		git("config", "uploadpack.allowFilter", filter)
		client := commitClient(t, forge)
		for _, test := range []struct{ name, digits, id, want string }{
			{"main", onMain[:8], onMain, "+two\n"},
			{"without renames", onMain, onMain, "deleted file mode 100644\n"},
			{"a branch", onBranch[:12], onBranch, "+b\n"},
			{"a tag only", onTag[:7], onTag, "+c\n"},
			{"a merge", merge[:10], merge, "+b\n"},
			{"the first", root[:10], root, "+# suite/notes\n"},
		} {
			id, patch, err := client.Commit(context.Background(), repo.CloneURL(), test.digits, 1<<20)
			if err != nil || id != test.id || !strings.Contains(string(patch), test.want) || !strings.HasPrefix(string(patch), "From "+id) {
				t.Errorf("%s, filter %s: %v, %s, want %s\n%s", test.name, filter, err, id, test.id, patch)
			}
		}
		for _, digits := range []string{fork, fork[:9], strings.Repeat("0", 40)} {
			var unreachable *UnreachableError
			if _, _, err := client.Commit(context.Background(), repo.CloneURL(), digits, 1<<20); !errors.As(err, &unreachable) {
				t.Errorf("%s, filter %s: %v, expected that nothing leads there", digits, filter, err)
			}
		}
		if _, _, err := client.Commit(context.Background(), repo.CloneURL(), onMain, 100); err == nil || !strings.Contains(err.Error(), "its change has more than 100 bytes") {
			t.Errorf("a large change: %v", err)
		}
	}
	for _, digits := range []string{"abc", "HEAD", "--output=x", strings.Repeat("a", 41), "ABCDEF1"} {
		if _, _, err := commitClient(t, forge).Commit(context.Background(), repo.CloneURL(), digits, 1<<20); err == nil || !strings.Contains(err.Error(), "expected 4 to 40") {
			t.Errorf("%s: %v", digits, err)
		}
	}
}

// Lines come in pieces, and only two are kept.
func TestCommitFinder(t *testing.T) {
	found := &commitFinder{digits: []byte("a")}
	for _, part := range []string{"a1\nb2\na", "3\n", "a4\n", "a5"} {
		if _, err := found.Write([]byte(part)); err != nil {
			t.Fatal(err)
		}
	}
	if strings.Join(found.ids, " ") != "a1 a3" {
		t.Errorf("found %q", found.ids)
	}
}

func TestCommitOf(t *testing.T) {
	for _, test := range []struct {
		repository, address, digits string
		inside                      bool
	}{
		{"https://github.com/o/r", "https://github.com/o/r/commit/abc1234", "abc1234", true},
		{"https://github.com/o/r.git", "https://github.com/O/R/commit/abc1234.patch", "abc1234", true},
		{"https://github.com/o/r", "https://github.com/o/r/commits/abc1234.diff", "abc1234", true},
		{"https://gitlab.com/g/s/r.git", "https://gitlab.com/g/s/r/-/commit/abc1234.patch?x=1", "abc1234", true},
		{"https://github.com/o/r", "https://github.com/o/r/pull/7/commits/abc1234.patch", "", true},
		{"https://github.com/o/r", "https://github.com/o/r/pull/7.patch", "", true},
		{"https://github.com/o/r", "https://github.com/o/r/commit/abc1234/../../../evil", "", true},
		{"https://github.com/o/r", "https://github.com/o/r2/commit/abc1234", "", false},
		{"https://github.com/o/r", "https://github.com/evil/r/commit/abc1234", "", false},
		{"https://github.com/o/r", "https://github.com.evil.org/o/r/commit/abc1234", "", false},
		{"https://github.com/o/r", "http://github.com/o/r/commit/abc1234", "", false},
		{"", "https://github.com/o/r/commit/abc1234", "", false},
		{"git@github.com:o/r.git", "https://github.com/o/r/commit/abc1234", "abc1234", true},
		{"ssh://git@git.example.org:2222/o/r.git/", "https://git.example.org/o/r/commit/abc1234", "abc1234", true},
		{"git@github.com:o/r.git", "https://github.com/o/other/commit/abc1234", "", false},
		{"/srv/git/r.git", "https://github.com/srv/git/r/commit/abc1234", "", false},
		{"file:///srv/git/r.git", "https://srv/git/r/commit/abc1234", "", false},
	} {
		if digits, inside := CommitOf(test.repository, test.address); digits != test.digits || inside != test.inside {
			t.Errorf("%s of %s: %q, %v", test.address, test.repository, digits, inside)
		}
	}
}

func TestRepositoryOf(t *testing.T) {
	client := commitClient(t, forgetest.Forgejo(t))
	for _, test := range []struct {
		source Source
		want   string
	}{
		{Source{Kind: "github", Location: "o/r"}, "https://github.com/o/r"},
		{Source{Kind: "git", Location: "https://git.example.org/o/r.git"}, "https://git.example.org/o/r.git"},
		{Source{Kind: "goModule", Location: "github.com/o/r/v2/cmd"}, "https://github.com/o/r"},
		{Source{Kind: "goModule", Location: "golang.org/x/net"}, ""},
		{Source{Kind: "goModule", Location: "github.com/o"}, ""},
		{Source{Kind: "url", Location: ""}, ""},
		{Source{Kind: "path"}, ""},
	} {
		if got := client.RepositoryOf(test.source); got != test.want {
			t.Errorf("%+v: %q, want %q", test.source, got, test.want)
		}
	}
}

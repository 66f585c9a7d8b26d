package bump

import (
	"strings"
	"testing"

	"github.com/libresh/libre/internal/upstream/forgetest"
)

// An app that follows another one takes its version, whether both are selected or not, and
// stays where it is if the update of the other one fails.
func TestFollowerComesAfterWhatItFollows(t *testing.T) {
	c, repo := suite(t, forgetest.GitHub(t))
	release(repo, "1.1.0", "better")
	c.git(t, "mv", "apps/notes", "apps/zettel")
	zettel := strings.Replace(c.read(t, "apps/zettel/default.nix"), `name = "notes";`, `name = "zettel";`, 1)
	c.write(t, "apps/zettel/default.nix", zettel)
	follower := strings.Replace(zettel, `name = "zettel";`, `name = "archive"; update.follow = "zettel";`, 1)
	follower = strings.Replace(follower, "patches = [ ./greeting.patch ];", "", 1)
	libre.Tool(t, "mkdir", c.dir+"/apps/archive")
	c.write(t, "apps/archive/default.nix", follower)
	c.git(t, "add", "apps")
	c.commit(t, "Two apps")

	if got := c.run(t, 0, "bump", "archive", "--check"); !strings.HasPrefix(got.stdout, "archive\t1.0.0-3\t1.0.0-3\tup to date") {
		t.Errorf("alone: %s%s", got.stdout, got.stderr)
	}
	c.write(t, "apps/zettel/greeting.patch", strings.Replace(greetingPatch, "-hello", "-good day", 1))
	got := c.run(t, 3, "bump", "--all")
	if want := "archive\t1.0.0-3\t1.1.0-1\tfailed\nzettel\t1.0.0-3\t1.1.0-1\tfailed\n"; got.stdout != want {
		t.Errorf("%swant %s", got.stdout, want)
	}
	if !strings.Contains(got.stderr, "error: archive: update.follow: the update of zettel failed") || c.read(t, "apps/archive/default.nix") != follower {
		t.Errorf("the follower:\n%s", got.stderr)
	}
	c.write(t, "apps/zettel/greeting.patch", greetingPatch)
	if got := c.run(t, 0, "bump", "--all"); strings.Count(got.stdout, "\t1.1.0-1\tbumped") != 2 {
		t.Errorf("%s%s", got.stdout, got.stderr)
	}
}

package build

import (
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/libresh/libre/internal/testkit"
)

// nixFaults are ways in which a nix fails, as scripts. $real runs the real one.
var nixFaults = []struct {
	name, script string
	evaluating   string // error of libre if it happens to nix eval
	building     string // error of libre if it happens to nix-store --realise
}{
	{"not JSON", `echo "hello <html>"`, `which is not JSON; run the same command again`, `nix gave no reason; run the same command again`},
	{"half of it", `$real "$@" | head -c 100`, `ends in the middle; run the same command again`, ``},
	{"nothing", ``, `printed nothing; run the same command again`, `nix gave no reason; run the same command again`},
	{"killed", `kill -9 $$`, `nix was killed; if memory was full`, `nix was killed; if memory was full`},
	{"crash", `kill -11 $$`, `nix ended by a signal (segmentation fault); run the same command again`, `nix ended by a signal (segmentation fault); run the same command again`},
	{"full store", `echo "error: writing to file: No space left on device" >&2; exit 1`, `No space left on device; free space with`, `No space left on device; free space with`},
	{"no daemon", `echo "error: cannot connect to socket at '/nix/var/nix/daemon-socket/socket': Connection refused" >&2; exit 1`, `Connection refused; start Nix's daemon`, `Connection refused; start Nix's daemon`},
	{"daemon ends", `echo "error: unexpected end-of-file" >&2; exit 1`, `unexpected end-of-file; start Nix's daemon`, `unexpected end-of-file; start Nix's daemon`},
	{"bad disk", `echo "error: reading from file: Input/output error" >&2; exit 1`, `Input/output error; look for errors of the disk`, `Input/output error; look for errors of the disk`},
	{"read-only store", `echo "error: creating directory '/nix/store/.links': Read-only file system" >&2; exit 1`, `Read-only file system; mount it writable`, `Read-only file system; mount it writable`},
	{"no reason", `exit 7`, `exit status 7 and gave no reason; check it with libre doctor`, `exit status 7 and gave no reason; check it with libre doctor`},
}

// Any failure of nix is reported in one line, and the next run makes the image.
func TestNextRunCompletesWhatNixFailed(t *testing.T) {
	t.Parallel()
	c := newCatalogue(t, map[string]string{"one/default.nix": fmt.Sprintf(namedApp, "")})
	faulty := libre.TempDir(t)
	c.env = append(c.env, "PATH="+faulty+string(os.PathListSeparator)+os.Getenv("PATH"))
	for _, test := range nixFaults {
		for _, at := range []struct{ program, operation, want string }{{"nix", "eval", test.evaluating}, {"nix-store", "--realise", test.building}} {
			name := test.name + ", " + at.operation + ", " + rand.Text() // no store has it
			writeFile(t, filepath.Join(c.dir, "apps/one/default.nix"), fmt.Sprintf(namedApp, name))
			wrapper := wrap(t, faulty, at.program, at.operation, test.script)
			_, stderr, err := testkit.Output(c.command("build", "one/web/default"))
			if (err == nil) != (at.want == "") || !strings.Contains(stderr, at.want) {
				t.Errorf("%s: %v, want a line with %q:\n%s", name, err, at.want, stderr)
			}
			if lines := errorLine.FindAllString(stderr, -1); at.want != "" && len(lines) != 1 {
				t.Errorf("%s: not one line that says how it ended:\n%s", name, stderr)
			}
			if err := os.Remove(wrapper); err != nil {
				t.Fatal(err)
			}
			c.libre(t, "build", "one/web/default")
			if got := readTree(t, openImage(t, c.dist(), "one-web-default:1-1", "")).text(t, "/app"); got != name {
				t.Errorf("%s: the next image has %q", name, got)
			}
		}
	}
}

// namedApp is an app whose image contains a text.
const namedApp = `{ mkApp, pkgs, ... }:
mkApp {
  name = "one"; version = "1"; packageVersion = 1;
  components.web.package = pkgs.runCommand "web" { } "printf %%s '%s' > $out";
}
`

var errorLine = regexp.MustCompile(`(?m)^error: `)

// wrap writes a program that runs a script instead of one operation of the real program.
func wrap(t *testing.T, dir, program, operation, script string) string {
	t.Helper()
	real, err := exec.LookPath(program)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, program)
	text := fmt.Sprintf("#!/bin/sh\nreal=%s\ncase \" $* \" in *' %s '*) ;; *) exec $real \"$@\";; esac\n%s\n", real, operation, script)
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

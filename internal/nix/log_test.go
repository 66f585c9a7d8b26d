package nix

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// readLog parses a captured log and writes each event as one line: short enough
// to compare with the expectation as a whole.
func readLog(t *testing.T, file string) []string {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var p LogParser
	var got []string
	for s := bufio.NewScanner(f); s.Scan(); {
		if e, ok := p.Line(s.Bytes()); ok {
			got = append(got, described(e))
		}
	}
	if len(p.activities) != 0 {
		t.Errorf("%d activities were not ended", len(p.activities))
	}
	return got
}

func described(e LogEvent) string {
	drv := strings.TrimSuffix(filepath.Base(e.Drv), ".drv")
	if _, name, ok := strings.Cut(drv, "-"); ok {
		drv = name
	}
	first, _, _ := strings.Cut(e.Text, "\n")
	progress := fmt.Sprintf("%d/%d, %d running, %d failed",
		e.Progress.Done, e.Progress.Expected, e.Progress.Running, e.Progress.Failed)
	switch e.Kind {
	case LogMessage:
		return fmt.Sprintf("message %d: %s", e.Level, first)
	case LogBuildStarted:
		return "started " + drv
	case LogBuildStopped:
		return "stopped " + drv
	case LogBuildLine:
		return drv + "> " + e.Text
	case LogBuildPhase:
		return drv + " phase " + e.Text
	case LogBuildFailed:
		return "failed " + drv + ": " + first
	case LogBuilds:
		return "builds " + progress
	case LogCopies:
		return "copies " + progress
	case LogDownloads:
		return "downloads " + progress
	}
	return fmt.Sprintf("unknown kind %d", e.Kind)
}

// The captures come from Nix 2.8. The .want file beside each has the expected events.
func TestLogCaptures(t *testing.T) {
	captures, err := filepath.Glob("testdata/log-*.txt")
	if err != nil || len(captures) == 0 {
		t.Fatalf("no captures: %v", err)
	}
	for _, capture := range captures {
		t.Run(filepath.Base(capture), func(t *testing.T) {
			want, err := os.ReadFile(strings.TrimSuffix(capture, ".txt") + ".want")
			if err != nil {
				t.Fatal(err)
			}
			got := strings.Join(readLog(t, filepath.Base(capture)), "\n") + "\n"
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Lines of other versions of Nix and of Lix, and lines that are not part of the log.
func TestLogShapes(t *testing.T) {
	const drv = "/nix/store/mxpvhwgqn3q6sl1lykymcj77z7a1iifi-fail-1.drv"
	building := `@nix {"action":"start","fields":["` + drv + `","ssh://builder",1,1],"id":7,"level":3,"parent":3,"text":"building","type":105}`
	for _, tt := range []struct {
		name  string
		lines []string
		want  string // of the last line, "" if it has no event
	}{
		{"parent", []string{building}, "started fail-1"},
		{"end", []string{building, `@nix {"action":"stop","id":7}`}, "stopped fail-1"},
		{"CRLF", []string{building, `@nix {"action":"stop","id":7}` + "\r\n"}, "stopped fail-1"},
		{"log line of an activity that began earlier", []string{`@nix {"action":"result","fields":["hello"],"id":9,"type":101}`}, ".> hello"},
		{"post-build hook", []string{
			`@nix {"action":"start","fields":["` + drv + `"],"id":8,"level":3,"text":"","type":110}`,
			`@nix {"action":"result","fields":["uploading"],"id":8,"type":107}`}, "fail-1> uploading"},
		{"result with a payload instead of fields (2.31)", []string{building,
			`@nix {"action":"result","id":7,"payload":{"wanted":"a","got":"b"},"type":109}`}, ""},
		{"unknown action", []string{`@nix {"action":"fetch","id":7}`}, ""},
		{"fields of another type", []string{building, `@nix {"action":"result","fields":[{"a":1}],"id":7,"type":104}`}, "fail-1 phase "},
		{"id of another type", []string{`@nix {"action":"msg","id":"x","level":2,"msg":"said"}`}, "message 2: said"},
		{"builder failed (2.30)", []string{`@nix {"action":"msg","level":0,"msg":"\u001b[31;1merror:\u001b[0m Cannot build '\u001b[35;1m` + drv + `\u001b[0m'.\n       Reason: \u001b[31;1mbuilder failed with exit code 1\u001b[0m."}`},
			"failed fail-1: Cannot build '" + drv + "'."},
		{"dependency failed (2.30)", []string{`@nix {"action":"msg","level":0,"msg":"error: Cannot build '` + drv + `'.\n       Reason: \u001b[31;1m1 dependency failed\u001b[0m.\n       Output paths:"}`},
			"message 0: Cannot build '" + drv + "'."},
		{"failure of the request", []string{`@nix {"action":"msg","level":0,"msg":"error: build of '` + drv + `' failed: Cannot build '` + drv + `'.\n       Reason: builder failed with exit code 1."}`},
			"failed fail-1: build of '" + drv + "' failed: Cannot build '" + drv + "'."},
		{"list of what failed", []string{`@nix {"action":"msg","level":0,"msg":"error: build of '` + drv + `', '/nix/store/x-y.drv' failed"}`},
			"message 0: build of '" + drv + "', '/nix/store/x-y.drv' failed"},
		{"missing platform", []string{`@nix {"action":"msg","level":0,"msg":"error: a 'aarch64-linux' with features {} is required to build '` + drv + `', but I am a 'x86_64-linux' with features {kvm}"}`},
			"failed fail-1: a 'aarch64-linux' with features {} is required to build '" + drv + "', but I am a 'x86_64-linux' with features {kvm}"},
		{"warning with the level of an error", []string{`@nix {"action":"msg","level":0,"msg":"warning: the group does not exist"}`}, "message 1: the group does not exist"},
		{"no log: error", []string{"error: cannot connect to socket"}, "message 0: cannot connect to socket"},
		{"no log: text", []string{"hello\tworld\x1b]0;title\x07!\n"}, "message 3: hello\tworld!"},
		{"no log: empty", []string{"\n"}, ""},
		{"broken JSON", []string{`@nix {"action":"msg",`}, `message 3: @nix {"action":"msg",`},
		{"JSON of another kind", []string{`@nix ["msg"]`}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var p LogParser
			var got string
			for _, line := range tt.lines {
				got = ""
				if e, ok := p.Line([]byte(line)); ok {
					got = described(e)
				}
			}
			if got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// Counters of activities that have ended are neither lost nor counted twice.
func TestLogProgressOfSeveralActivities(t *testing.T) {
	var p LogParser
	var last LogProgress
	for _, line := range []string{
		`@nix {"action":"start","id":1,"type":104}`,
		`@nix {"action":"result","id":1,"type":105,"fields":[0,3,2,0]}`,
		`@nix {"action":"result","id":1,"type":105,"fields":[2,3,0,1]}`,
		`@nix {"action":"stop","id":1}`,
		`@nix {"action":"start","id":2,"type":104}`,
		`@nix {"action":"result","id":2,"type":105,"fields":[1,4,1,0]}`,
	} {
		if e, ok := p.Line([]byte(line)); ok && e.Kind == LogBuilds {
			last = e.Progress
		}
	}
	if want := (LogProgress{Done: 3, Expected: 6, Running: 1, Failed: 1}); last != want {
		t.Errorf("got %+v, want %+v", last, want)
	}
}

func TestHashMismatch(t *testing.T) {
	const (
		drv    = "/nix/store/sjfw324j4533lwnpmr5z4icpb85r63ai-x1.drv"
		wanted = "sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
		got    = "sha256-a1Qvp3FOOkWpL9kFHgugU1ok5UtRPSu+NwCZKbbaEro="
	)
	header := "error: hash mismatch in fixed-output derivation '" + drv + "':\n"
	for _, tt := range []struct {
		name, text string
		ok         bool
	}{
		{"Nix", header + "         specified: " + wanted + "\n            got:    " + got + "\n", true},
		{"Nix, raw message", strings.TrimPrefix(header, "error: ") + "  specified: " + wanted + "\n     got:    " + got, true},
		{"Nix, colours", "\x1b[31;1merror:\x1b[0m hash mismatch in fixed-output derivation '\x1b[35;1m" + drv + "\x1b[0m':\n         specified: \x1b[35;1m" + wanted + "\x1b[0m\n            got:    \x1b[35;1m" + got + "\x1b[0m", true},
		{"Nix, with what comes before and after", "building x\n" + header + "  specified: " + wanted + "\r\n  got:    " + got + "\r\nerror: 1 dependencies of derivation '/nix/store/a-b.drv' failed to build\n", true},
		{"the first of two", header + "  specified: " + wanted + "\n  got: " + got + "\n" + strings.ReplaceAll(header, "x1", "x2") + "  specified: " + got + "\n  got: " + wanted + "\n", true},
		{"Lix", header + "           likely URL: https://example.org/puppy.tar.gz\n            specified: " + wanted + "\n                  got: " + got + "\n        expected path: /nix/store/a-x1\n             got path: /nix/store/b-x1\n", true},
		{"cut off", header + "  specified: " + wanted + "\n", false},
		{"another mismatch", "error: hash mismatch importing path '/nix/store/a-b';\n  specified: sha256:1\n  got:       sha256:2\n", false},
		{"nothing", "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d, w, g, ok := HashMismatch(tt.text)
			if ok != tt.ok {
				t.Fatalf("ok = %t", ok)
			}
			if ok && (d != drv || w != wanted || g != got) {
				t.Errorf("got %q, %q, %q", d, w, g)
			}
		})
	}
}

// HashMismatch understands a message from a real run.
func TestHashMismatchOfCapture(t *testing.T) {
	f, err := os.Open("testdata/log-2.8-keep-going.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var p LogParser
	var got []string
	for s := bufio.NewScanner(f); s.Scan(); {
		e, _ := p.Line(s.Bytes())
		if drv, _, hash, ok := HashMismatch(e.Text); ok {
			if drv != e.Drv {
				t.Errorf("mismatch of %s in a message about %s", drv, e.Drv)
			}
			got = append(got, hash)
		}
	}
	want := []string{"sha256-zIGtL97dY/5YToC03Hdw0Ek/yPSeYUWaNSSn87t8b8Q=", "sha256-rW+enPxUA/LM0q+LqwEuqdLTW8w1RhcCQ5p52PyM2mI="}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func FuzzLogLine(f *testing.F) {
	captures, _ := filepath.Glob("testdata/log-*.txt")
	for _, capture := range captures {
		b, err := os.ReadFile(capture)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte("@nix {\"action\":\"result\",\"fields\":[-9223372036854775808,1e400,null],\"id\":1,\"type\":106}\n@nix null\n\x1b["))
	f.Fuzz(func(t *testing.T, log []byte) {
		var p LogParser
		var remote remoteBuilds
		for line := range strings.Lines(string(log)) {
			e, _ := p.Line([]byte(line))
			remote.read(e)
			if strings.ContainsAny(e.Text+e.Drv, "\x00\x07\x08\r\x1b\x7f\u009b") {
				t.Errorf("control characters in %q or %q", e.Text, e.Drv)
			}
			HashMismatch(e.Text)
		}
		for _, u := range remote.unreachable {
			if strings.ContainsAny(u.String(), "\n\x1b") {
				t.Errorf("not a line: %q", u)
			}
		}
		HashMismatch(string(log))
	})
}

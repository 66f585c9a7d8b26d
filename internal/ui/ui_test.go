package ui

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/mattn/go-runewidth"
)

func TestMain(m *testing.M) {
	// The width of some characters depends on the locale.
	runewidth.DefaultCondition = &runewidth.Condition{StrictEmojiNeutral: true}
	os.Exit(m.Run())
}

// A fake is a UI with streams, a clock and a terminal that the test controls.
type fake struct {
	*UI
	stdout, stderr bytes.Buffer
	width, height  int
	now            time.Time
}

func newFake(edit func(*Options)) *fake {
	f := &fake{width: 80, height: 24, now: time.Date(2026, 7, 9, 12, 0, 0, 0, time.UTC)}
	opts := Options{
		Stdout: &f.stdout,
		Stderr: &f.stderr,
		Size:   func() (int, int) { return f.width, f.height },
		Now:    func() time.Time { return f.now },
	}
	if edit != nil {
		edit(&opts)
	}
	f.UI = New(opts)
	return f
}

func terminal(o *Options) { o.StdoutTerminal, o.StderrTerminal = true, true }

func colors(o *Options) { terminal(o); o.Color = true }

func logJSON(o *Options) { terminal(o); o.JSON = true }

// said returns what was written to stderr since the last call.
func (f *fake) said() string {
	s := f.stderr.String()
	f.stderr.Reset()
	return s
}

func expect(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s:\ngot  %q\nwant %q", what, got, want)
	}
}

func TestMessages(t *testing.T) {
	f := newFake(nil)
	f.Notef("see %s", "https://example.org")
	f.Warnf("base %s is not pinned", "\x1b[31mpython\x1b[0m:3")
	f.Errorf("build docs: %s", "exit 1\nlast line\n")
	expect(t, "plain", f.said(), "see https://example.org\nwarning: base python:3 is not pinned\nerror: build docs: exit 1\nlast line\n")

	f = newFake(colors)
	f.Warnf("x")
	f.Errorf("y")
	expect(t, "colours", f.said(), "\x1b[33mwarning: \x1b[0mx\n\x1b[31merror: \x1b[0my\n")

	f = newFake(terminal)
	f.Errorf("y")
	expect(t, "NO_COLOR", f.said(), "error: y\n")

	f = newFake(logJSON)
	f.Warnf("x\x07")
	expect(t, "JSON", f.said(), `{"time":"2026-07-09T12:00:00.000Z","phase":"warning","message":"x"}`+"\n")
}

func TestResults(t *testing.T) {
	f := newFake(nil)
	f.Printf("%s\t%s\n", "docs:1\x1b]0;t\x07", "sha256:0")
	f.JSON(map[string]any{"name": "a<b>\u202e\u009b\x1b\U000e0041", "n": 1})
	want := "docs:1\tsha256:0\n{\n  \"n\": 1,\n  \"name\": \"a<b>\\u202e\\u009b\\u001b\\udb40\\udc41\"\n}\n"
	expect(t, "stdout", f.stdout.String(), want)
	expect(t, "stderr", f.said(), "")
}

func TestDetect(t *testing.T) {
	file, err := os.Create(t.TempDir() + "/out")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	env := map[string]string{"NO_COLOR": "1"}
	o := Detect(file, file, func(k string) string { return env[k] })
	if o.StdoutTerminal || o.StderrTerminal || o.Color {
		t.Errorf("a file: %+v", o)
	}
	if w, h := o.Size(); w != 80 || h != 24 {
		t.Errorf("size of a file: %d, %d", w, h)
	}
	if o := Detect(file, file, func(string) string { return "" }); !o.Color {
		t.Error("no colour without NO_COLOR")
	}
}

func TestSize(t *testing.T) {
	for bytes, want := range map[int64]string{
		0: "0 B", 999: "999 B", 1000: "1.0 KiB", 1024: "1.0 KiB", 1536: "1.5 KiB",
		10137: "9.9 KiB", 10188: "9.9 KiB", 10189: "10 KiB", 1023487: "999 KiB", 1023488: "1.0 MiB", 1<<20 - 1: "1.0 MiB",
		12 << 20: "12 MiB", 250 << 20: "250 MiB", 1 << 30: "1.0 GiB", 1<<63 - 1: "8.0 EiB", -1: "-1 B",
	} {
		expect(t, "size", Size(bytes), want)
	}
}

func TestDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "0.0s", 0: "0.0s", 340 * time.Millisecond: "0.3s", 9949 * time.Millisecond: "9.9s",
		9950 * time.Millisecond: "10s", 59400 * time.Millisecond: "59s", 59600 * time.Millisecond: "1m00s",
		185 * time.Second: "3m05s", time.Hour - time.Millisecond: "1h00m", 62 * time.Minute: "1h02m", 26 * time.Hour: "26h00m",
	} {
		expect(t, d.String(), Duration(d), want)
	}
}

func TestTable(t *testing.T) {
	table := Table{
		Header: []string{"APP", "VERSION", "DESCRIPTION"},
		Rows: [][]string{
			{"docs", "5.4.1-1", "collaborative\teditor\n"},
			{"日本語", "1", "x\x1b[2J"},
		},
		Style: func(column int, cell string) Style {
			if cell == "1" {
				return Warn
			}
			return None
		},
	}
	f := newFake(nil)
	f.Table(table)
	expect(t, "piped", f.stdout.String(), "docs\t5.4.1-1\tcollaborative editor\n日本語\t1\tx\n")

	f = newFake(colors)
	f.Table(table)
	expect(t, "terminal", f.stdout.String(), ""+
		"\x1b[1mAPP\x1b[0m     \x1b[1mVERSION\x1b[0m  \x1b[1mDESCRIPTION\x1b[0m\n"+
		"docs    5.4.1-1  collaborative editor\n"+
		"日本語  \x1b[33m1\x1b[0m        x\n")

	f = newFake(terminal)
	f.width = 30
	f.Table(table)
	expect(t, "narrow", f.stdout.String(), "APP\n  VERSION\ndocs\n  5.4.1-1\n  description: collaborative editor\n日本語\n  1\n  description: x\n")

	f = newFake(terminal)
	f.width = 3
	f.Table(table) // it must only not fail
}

func TestBlocks(t *testing.T) {
	block := Block{Heading: "failed: docs, meet", Lines: []string{"build: exit\ncode 7", "log: /x.log"}, Quoted: []string{"cc\x1b[2J x.c", "boom"}}
	f := newFake(colors)
	f.Block(block)
	expect(t, "terminal", f.said(), "\x1b[31mfailed: docs, meet\x1b[0m\n  build: exit code 7\n  log: /x.log\n  | cc x.c\n  | boom\n")
	f = newFake(func(o *Options) { o.Quiet = true })
	f.Block(block)
	expect(t, "quiet", f.said(), "failed: docs, meet\n  build: exit code 7\n  log: /x.log\n  | cc x.c\n  | boom\n")
	f = newFake(logJSON)
	f.Block(block)
	expect(t, "JSON", f.said(), "")
}

func TestQuietWritesWhatMatters(t *testing.T) {
	f := newFake(func(o *Options) { terminal(o); o.Quiet = true })
	p := f.Progress()
	p.Set("docs", State{Phase: Building})
	f.Notef("note")
	f.Requestedf("asked for")
	f.Warnf("careful")
	p.Set("docs", State{Phase: Failed, Message: "exit 1"})
	p.Close()
	f.Errorf("1 of 1 images failed")
	f.Printf("result\n")
	expect(t, "stderr", f.said(), "asked for\nwarning: careful\nerror: 1 of 1 images failed\n")
	expect(t, "stdout", f.stdout.String(), "result\n")
}

// Text in a table can be copied.
func TestWideTablesHaveTwoLinesARow(t *testing.T) {
	reference := "registry.example/coop/guestbook-web-default:1.0.0-1@sha256:" + strings.Repeat("0123456789abcdef", 4)
	table := Table{Header: []string{"IMAGE", "STATE", "SIZE", "REASON"}, Sentences: []int{3}, Rows: [][]string{
		{reference, "built", "12 MiB", ""},
		{"docs:1", "published", "9.8 KiB", "its key changed: 1111 → 2222, and it was built again for this"},
	}}
	at := func(width int) string {
		f := newFake(terminal)
		f.width = width
		f.Table(table)
		return f.stdout.String()
	}
	expect(t, "80 columns", at(80), ""+
		"IMAGE\n"+
		"  STATE      SIZE\n"+
		reference+"\n"+
		"  built      12 MiB\n"+
		"docs:1\n"+
		"  published  9.8 KiB\n"+
		"  reason: its key changed: 1111 → 2222, and it was built again for this\n")
	expect(t, "100 columns", at(100), ""+
		"IMAGE\n"+
		"  STATE      SIZE     REASON\n"+
		reference+"\n"+
		"  built      12 MiB\n"+
		"docs:1\n"+
		"  published  9.8 KiB  its key changed: 1111 → 2222, and it was built again for this\n")
	if wide := at(300); strings.Count(wide, "\n") != 3 {
		t.Errorf("300 columns:\n%s", wide)
	}
}

func TestSentencesAreNotCut(t *testing.T) {
	reason := "docs-default:5.4.1-1 was moved: it points to sha256:日本語, its record has sha256:2; put it back with: libre push --force 'docs/*/default'"
	table := Table{
		Header:    []string{"RELEASE", "STATE", "UPSTREAM", "REASON"},
		Rows:      [][]string{{"docs/default", "moved", "5.5.0", reason}, {"meet/default", "published", "not followed", ""}},
		Sentences: []int{2, 3},
	}
	narrow := func(width int) string {
		f := newFake(terminal)
		f.width = width
		f.Table(table)
		return f.stdout.String()
	}
	expect(t, "80 columns", narrow(80), ""+
		"RELEASE       STATE      UPSTREAM\n"+
		"docs/default  moved      5.5.0\n"+
		"  reason: "+reason+"\n"+
		"meet/default  published  not followed\n")
	// A cell that fits is in its row.
	table.Rows[1][3] = "short"
	expect(t, "80 columns, one that fits", narrow(80), ""+
		"RELEASE       STATE      UPSTREAM      REASON\n"+
		"docs/default  moved      5.5.0\n"+
		"  reason: "+reason+"\n"+
		"meet/default  published  not followed  short\n")
	// The narrower column gives way where the wider one has many cells.
	both := Table{Header: []string{"CHECK", "FOUND", "FIX"}, Sentences: []int{1, 2}, Rows: [][]string{
		{"nix", "nix (Nix) 2.8.0", ""}, {"engine", strings.Repeat("long ", 20), "buildah 1.38.1"}, {"cache", "/root/.cache/libre", ""},
	}}
	f := newFake(terminal)
	f.width = 40
	f.Table(both)
	expect(t, "two columns of sentences", f.stdout.String(), ""+
		"CHECK   FOUND\n"+
		"nix     nix (Nix) 2.8.0\n"+
		"engine\n"+
		"  found: "+strings.TrimSpace(strings.Repeat("long ", 20))+"\n"+
		"  fix: buildah 1.38.1\n"+
		"cache   /root/.cache/libre\n")
	// With 120 cells one more sentence fits in full. Sentences are never cut.
	table.Rows[1][3] = "held: 0.40.4 needs go 1.27, this machine has 1.26.8"
	expect(t, "120 columns", narrow(120), ""+
		"RELEASE       STATE      UPSTREAM      REASON\n"+
		"docs/default  moved      5.5.0\n"+
		"  reason: "+reason+"\n"+
		"meet/default  published  not followed  held: 0.40.4 needs go 1.27, this machine has 1.26.8\n")
	table.Rows[1][3] = ""
	expect(t, "30 columns", narrow(30), ""+
		"RELEASE       STATE\n"+
		"docs/default  moved\n"+
		"  upstream: 5.5.0\n"+
		"  reason: "+reason+"\n"+
		"meet/default  published\n"+
		"  upstream: not followed\n")
	if got := narrow(12); !strings.Contains(got, reason) {
		t.Errorf("12 columns: %s", got)
	}
	wide := narrow(300)
	if !strings.HasPrefix(wide, "RELEASE       STATE      UPSTREAM      REASON\n") || strings.Contains(wide, "reason:") {
		t.Errorf("300 columns: %s", wide)
	}
	f = newFake(nil)
	f.Table(table)
	expect(t, "piped", f.stdout.String(), "docs/default\tmoved\t5.5.0\t"+reason+"\nmeet/default\tpublished\tnot followed\t\n")
}

func TestDescriptionsAreWrapped(t *testing.T) {
	table := Table{Header: []string{"VARIABLE", "VALUE", "DESCRIPTION"}, Wrap: []int{1, 2}, Rows: [][]string{
		{"MEDIA_BASE_URL", "$(url)", "The address of attachments"},
		{"THEME_CUSTOMIZATION_FILE", "/app/impress/configuration/theme/default.json", "Logos, links and footer, as JSON"},
	}}
	f := newFake(terminal)
	f.width = 72
	f.Table(table)
	expect(t, "72 columns", f.stdout.String(), ""+
		"VARIABLE                  VALUE                   DESCRIPTION\n"+
		"MEDIA_BASE_URL            $(url)                  The address of\n"+
		"                                                  attachments\n"+
		"THEME_CUSTOMIZATION_FILE  /app/impress/configura  Logos, links and\n"+
		"                          tion/theme/default.jso  footer, as JSON\n"+
		"                          n\n")
	f = newFake(nil)
	f.Table(table)
	expect(t, "piped", f.stdout.String(), ""+
		"MEDIA_BASE_URL\t$(url)\tThe address of attachments\n"+
		"THEME_CUSTOMIZATION_FILE\t/app/impress/configuration/theme/default.json\tLogos, links and footer, as JSON\n")
}

package ui

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mattn/go-runewidth"
)

const lyon = "docs/backend/lyon"

func TestPlainProgress(t *testing.T) {
	f := newFake(nil)
	p := f.Progress()
	p.Set("docs/backend", State{Phase: Waiting})
	p.Set(lyon, State{Phase: Waiting})
	p.Set("docs/backend", State{Phase: Evaluating})
	p.Set("docs/backend", State{Phase: Building, Total: 3})
	p.Set("docs/backend", State{Phase: Building, Done: 1, Total: 3, Message: "cc -c x.c"})
	f.now = f.now.Add(30 * time.Second)
	p.Set("docs/backend", State{Phase: Layering, Total: 1})
	p.Set("docs/backend", State{Phase: Done, Message: "sha256:12"})
	p.Set(lyon, State{Phase: Stepping})
	f.now = f.now.Add(5 * time.Second)
	p.Set(lyon, State{Phase: Failed, Message: "exit\n\x1b[31mcode\x1b[0m 7"})
	p.Set("meet", State{Phase: Skipped})
	p.Close()
	f.Notef("after")
	expect(t, "stderr", f.said(), `docs/backend: evaluating
docs/backend: building 3 derivations
docs/backend: writing 1 layer
docs/backend: done in 30s: sha256:12
docs/backend/lyon: running steps
docs/backend/lyon: failed after 5.0s: exit code 7
after
`)
	expect(t, "stdout", f.stdout.String(), "")
}

func TestJSONProgress(t *testing.T) {
	f := newFake(logJSON)
	p := f.Progress()
	p.Set("docs", State{Phase: Building, Total: 2})
	p.Set("docs", State{Phase: Building, Total: 2, Message: "another line"})
	p.Set("docs", State{Phase: Building, Done: 1, Total: 2, Message: "a \"quoted\" line"})
	f.Notef("note")
	p.Set("docs", State{Phase: Done, Message: "sha256:12"})
	p.Close()
	expect(t, "stderr", f.said(), `{"time":"2026-07-09T12:00:00.000Z","image":"docs","phase":"building","total":2}
{"time":"2026-07-09T12:00:00.000Z","image":"docs","phase":"building","done":1,"total":2,"message":"a \"quoted\" line"}
{"time":"2026-07-09T12:00:00.000Z","phase":"note","message":"note"}
{"time":"2026-07-09T12:00:00.000Z","image":"docs","phase":"done","message":"sha256:12"}
`)
}

// A silent run reports what it is doing.
func TestHeartbeat(t *testing.T) {
	for name, test := range map[string]struct {
		edit func(*Options)
		want string
	}{
		"plain": {nil, "still running: a building 3 derivations, 30s; b running steps, 30s; c fetching, 30s; 1 more\n"},
		"JSON":  {logJSON, `{"time":"2026-07-09T12:00:30.000Z","phase":"running","message":"a building 3 derivations, 30s; b running steps, 30s; c fetching, 30s; 1 more"}` + "\n"},
	} {
		f := newFake(test.edit)
		p := f.newProgress()
		p.beat()
		p.Set("z", State{Phase: Waiting})
		p.beat()
		p.Set("a", State{Phase: Building, Total: 3})
		p.Set("b", State{Phase: Stepping})
		p.Set("c", State{Phase: Fetching})
		p.Set("d", State{Phase: Publishing})
		f.said()
		f.now = f.now.Add(29 * time.Second)
		p.beat()
		expect(t, name+" after 29 s", f.said(), "")
		f.now = f.now.Add(time.Second)
		p.beat()
		expect(t, name+" after 30 s", f.said(), test.want)
		p.beat()
		expect(t, name+" again", f.said(), "")
		close(p.done)
		p.Close()
	}
}

// If there are several images, the last line counts them, and has the time of the whole run.
func TestSeveralImagesAreCounted(t *testing.T) {
	f := newFake(terminal)
	p := f.newProgress()
	for _, name := range []string{"a", "b", "c", "d"} {
		p.Set(name, State{Phase: Waiting})
	}
	p.Set("a", State{Phase: Skipped})
	p.Set("b", State{Phase: Done})
	p.Set("c", State{Phase: Evaluating})
	f.now = f.now.Add(65 * time.Second)
	p.draw()
	expect(t, "four", f.said(), "b  done in 0.0s\nc  evaluating  1m05s\nd  waiting\n1 done, 1 skipped, 1 running, 1 waiting, 1m05s\n")
	close(p.done)
	p.Close()
}

// In CI, progress is folded, but errors are not.
func TestFolds(t *testing.T) {
	for env, want := range map[string]string{
		"GITHUB_ACTIONS": "::group::progress\ndocs: evaluating\n::endgroup::\nwarning: careful\n::group::progress\ndocs: done in 0.0s\n::endgroup::\nend\n",
		"GITLAB_CI": "\x1b[0Ksection_start:1783598400:libre_1[collapsed=true]\r\x1b[0Kprogress\ndocs: evaluating\n\x1b[0Ksection_end:1783598400:libre_1\r\x1b[0K\nwarning: careful\n" +
			"\x1b[0Ksection_start:1783598400:libre_2[collapsed=true]\r\x1b[0Kprogress\ndocs: done in 0.0s\n\x1b[0Ksection_end:1783598400:libre_2\r\x1b[0K\nend\n",
		"OTHER": "docs: evaluating\nwarning: careful\ndocs: done in 0.0s\nend\n",
	} {
		f := newFake(func(o *Options) {
			o.Fold = detectFold(func(name string) string { return map[bool]string{true: "true"}[name == env] })
		})
		p := f.Progress()
		p.Set("docs", State{Phase: Evaluating})
		f.Warnf("careful")
		p.Set("docs", State{Phase: Done})
		p.Close()
		p.Close()
		f.Notef("end")
		expect(t, env, f.said(), want)
	}
}

func TestVerboseWritesTheLinesOfBuilds(t *testing.T) {
	f := newFake(func(o *Options) { o.Verbose = true })
	p := f.newProgress()
	p.Set("docs", State{Phase: Building, Total: 1, Message: "cc -c x.c"})
	p.Set("docs", State{Phase: Building, Total: 1, Message: "cc -c x.c"})
	p.Set("docs", State{Phase: Building, Done: 1, Total: 1, Message: "ld\x1b[2J"})
	p.Set("docs", State{Phase: Done})
	p.Set("meet", State{Phase: Skipped})
	expect(t, "stderr", f.said(), "docs | cc -c x.c\ndocs: building 1 derivation\ndocs | ld\ndocs: done in 0.0s\nmeet: nothing to do\n")
	close(p.done)
	p.Close()
}

func TestLiveProgress(t *testing.T) {
	f := newFake(terminal)
	p := f.newProgress()
	p.Set("docs/backend", State{Phase: Waiting})
	p.Set(lyon, State{Phase: Building, Done: 3, Total: 17, Message: "compiling x"})
	expect(t, "nothing before it is drawn", f.said(), "")
	p.drawIfChanged()
	expect(t, "first", f.said(), ""+
		"docs/backend       waiting\n"+
		"docs/backend/lyon  building 3/17 derivations  0s  compiling x\n")
	p.drawIfChanged()
	expect(t, "nothing new", f.said(), "")
	f.now = f.now.Add(1500 * time.Millisecond)
	p.drawIfChanged()
	expect(t, "the time", f.said(), "\x1b[A\r\x1b[K\x1b[A\r\x1b[K"+
		"docs/backend       waiting\n"+
		"docs/backend/lyon  building 3/17 derivations  1s  compiling x\n")
	f.Warnf("careful")
	p.Set(lyon, State{Phase: Done, Message: "sha256:12"})
	p.drawIfChanged()
	expect(t, "what is finished scrolls up", f.said(), "\x1b[A\r\x1b[K\x1b[A\r\x1b[K"+
		"warning: careful\n"+
		"docs/backend/lyon  done in 1.5s  sha256:12\n"+
		"docs/backend       waiting\n")
	f.Printf("a result\n")
	expect(t, "a result makes room", f.said(), "\x1b[A\r\x1b[K"+"docs/backend       waiting\n")
	expect(t, "stdout", f.stdout.String(), "a result\n")
	p.Set("docs/backend", State{Phase: Stepping, Done: 3, Total: 9})
	f.Notef("last words")
	close(p.done) // nothing draws but this test
	p.Close()
	expect(t, "end", f.said(), "\x1b[A\r\x1b[Klast words\n")
	f.Notef("after")
	expect(t, "after the end", f.said(), "after\n")
}

func TestLiveColors(t *testing.T) {
	f := newFake(colors)
	p := f.newProgress()
	p.Set("a", State{Phase: Failed, Message: "exit 1"})
	p.Set("b", State{Phase: Layering, Done: 2, Total: 5})
	p.draw()
	expect(t, "colours", f.said(), "a  \x1b[31mfailed after 0.0s\x1b[0m  exit 1\nb  layers 2/5\x1b[2m  0s\x1b[0m\n")
}

func TestLiveLinesFit(t *testing.T) {
	for _, size := range [][2]int{{80, 24}, {40, 10}, {20, 3}, {5, 2}, {1, 1}} {
		f := newFake(colors)
		f.width, f.height = size[0], size[1]
		p := f.newProgress()
		for i := range 20 {
			p.Set(fmt.Sprintf("docs/component%d/日本語日本語日本語", i), State{Phase: Waiting})
		}
		for i := range 5 {
			p.Set(fmt.Sprintf("docs/component%d/日本語日本語日本語", i), State{Phase: Building, Done: 1, Total: 100, Message: strings.Repeat("日本", 50)})
		}
		p.draw()
		rows := strings.Count(f.said(), "\n")
		if rows > max(f.height-1, 1) {
			t.Errorf("%v: %d rows", size, rows)
		}
		for _, n := range p.drawn {
			if n > max(f.width-1, 1) {
				t.Errorf("%v: a line of %d cells", size, n)
			}
		}
	}
}

func TestMoreImagesThanRows(t *testing.T) {
	f := newFake(terminal)
	f.width, f.height = 40, 5
	p := f.newProgress()
	for i := range 10 {
		p.Set(fmt.Sprintf("docs/component%d/default", i), State{Phase: Waiting})
	}
	p.Set("docs/component0/default", State{Phase: Skipped})
	p.Set("docs/component1/default", State{Phase: Done})
	p.Set("docs/component2/default", State{Phase: Failed, Message: "why"})
	p.Set("docs/component8/default", State{Phase: Building, Done: 2, Total: 3, Message: "never seen"})
	p.Set("docs/component9/default", State{Phase: Evaluating})
	p.draw()
	expect(t, "rows", f.said(), `docs/component1/default  done in 0.0s
docs/component2/default  failed after 0.0s  why
docs/component8/def…  building 2/3  0s…
docs/component9/def…  evaluating  0s
1 done, 1 skipped, 1 failed, 2 running…
`)
}

// A terminal that has become narrower shows the drawn lines on more rows.
func TestNarrowerTerminal(t *testing.T) {
	f := newFake(terminal)
	p := f.newProgress()
	p.Set("docs", State{Phase: Building, Done: 1, Total: 2, Message: strings.Repeat("x", 100)})
	p.draw()
	first := strings.TrimSuffix(f.said(), "\n")
	if n := runewidth.StringWidth(first); n != 79 {
		t.Fatalf("%d cells: %q", n, first)
	}
	f.width = 40
	p.draw()
	if got := f.said(); !strings.HasPrefix(got, "\x1b[A\r\x1b[K\x1b[A\r\x1b[K") {
		t.Errorf("%q", got)
	}
}

func TestImageBeginsAgain(t *testing.T) {
	f := newFake(nil)
	p := f.Progress()
	defer p.Close()
	p.Set("docs", State{Phase: Done})
	p.Set("docs", State{Phase: Layering, Total: 2})
	f.now = f.now.Add(time.Minute)
	p.Set("docs", State{Phase: Done})
	expect(t, "stderr", f.said(), "docs: done in 0.0s\ndocs: writing 2 layers\ndocs: done in 1m00s\n")
}

// Run with -race.
func TestConcurrentUse(t *testing.T) {
	var stdout, stderr bytes.Buffer
	opts := newFake(colors).opts
	opts.Stdout, opts.Stderr, opts.Now = &stdout, &stderr, time.Now
	u := New(opts)
	p := u.Progress()
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			name := fmt.Sprintf("image%d", i)
			for n := range 100 {
				p.Set(name, State{Phase: Building, Done: n, Total: 100})
				u.Notef("note %d of %s", n, name)
			}
			u.Printf("%s\n", name)
			p.Set(name, State{Phase: Done})
		})
	}
	wg.Wait()
	p.Close()
	if n := strings.Count(stderr.String(), "note "); n != 800 {
		t.Errorf("%d notes", n)
	}
	if n := strings.Count(stderr.String(), "done in "); n < 8 {
		t.Errorf("%d images are done", n)
	}
	if n := strings.Count(stdout.String(), "\n"); n != 8 {
		t.Errorf("%d results", n)
	}
}

package containerfile

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/libresh/libre/internal/private"
	"github.com/libresh/libre/internal/process"
	"github.com/libresh/libre/internal/text"
)

// tailLines is the number of last lines that are kept, and mostLine the number of characters of
// each.
const (
	tailLines = 20
	mostLine  = 1000
)

var errDeadline = context.DeadlineExceeded

// output collects what the children of one build print: everything goes to the log, the
// last lines into memory, and each line to step.
type output struct {
	ctx  context.Context
	path string
	step func(line string)
	disk string // where the engine writes, for the error about a full disk
	mask mask   // secrets to mask everywhere

	mu    sync.Mutex
	log   *os.File // nil: no log
	part  []byte   // a line that has not ended yet
	lines []string
	err   error // of writing the log
}

func newOutput(ctx context.Context, path string, step func(string)) (*output, error) {
	o := &output{ctx: ctx, path: path, step: step}
	if path == "" {
		return o, nil
	}
	err := private.Folder(filepath.Dir(path))
	if err == nil {
		o.log, err = private.Create(path)
	}
	if err != nil {
		return nil, fmt.Errorf("writing the build log: %w", err)
	}
	return o, nil
}

// Write never fails: on a full disk the child must report the error, and not die of SIGPIPE.
// Write processes output by lines, to find secrets. For the same reason it holds back the end
// of a very long line.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.part = append(o.part, p...)
	for {
		i := bytes.IndexByte(o.part, '\n')
		if i < 0 {
			break
		}
		o.line(string(o.part[:i+1]))
		o.part = o.part[i+1:]
	}
	if most := 64<<10 + o.mask.longest; len(o.part) >= most {
		text := o.mask.apply(string(o.part))
		kept := min(o.mask.longest, len(text))
		o.line(text[:len(text)-kept])
		o.part = []byte(text[len(text)-kept:])
	}
	return len(p), nil
}

func (o *output) line(raw string) {
	raw = o.mask.apply(raw)
	if o.log != nil && o.err == nil {
		_, o.err = o.log.WriteString(raw)
	}
	line := text.OutputLine(raw)
	if o.lines = append(o.lines, text.Clip(line, mostLine)); len(o.lines) > 4*tailLines {
		o.lines = append([]string(nil), o.lines[len(o.lines)-tailLines:]...)
	}
	if o.step != nil {
		o.step(line)
	}
}

func (o *output) tail() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.flush()
	lines := o.lines[max(0, len(o.lines)-tailLines):]
	return append([]string(nil), lines...)
}

// forget drops the lines so far, so that an error shows only the lines of the failed child.
func (o *output) forget() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.flush()
	o.lines = nil
}

// flush processes an incomplete line.
func (o *output) flush() {
	if len(o.part) > 0 {
		o.line(string(o.part))
		o.part = nil
	}
}

func (o *output) Close() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.flush()
	if o.log == nil {
		return nil
	}
	return o.log.Close()
}

// child is a process to run.
type child struct {
	path   string
	args   []string
	env    []string
	stdin  io.Reader
	stdout io.Writer // nil: into the output, like stderr

	attributes *syscall.SysProcAttr // nil: the attributes of every program
	confined   *confinement         // confine.sh runs it
}

// run runs c to its end. When out's context ends, c's whole process group gets SIGTERM,
// and later SIGKILL.
func run(c child, out *output) error {
	out.forget()
	if out.log != nil {
		fmt.Fprintf(out.log, "+ %s\n", out.mask.apply(quoteAll(append([]string{filepath.Base(c.path)}, c.args...))))
	}
	cmd := process.Command(out.ctx, c.path, c.args...)
	cmd.Env = c.env
	cmd.Stdin = c.stdin
	if c.attributes != nil {
		attributes := *c.attributes
		attributes.Setpgid = true
		cmd.SysProcAttr = &attributes
	}
	cmd.Stdout, cmd.Stderr = io.Writer(out), out
	if c.stdout != nil {
		cmd.Stdout = c.stdout
	}
	err := runChild(cmd, c)
	if out.ctx.Err() != nil && cmd.Process != nil {
		// Processes of a RUN step may ignore SIGTERM and outlive the engine.
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	}
	return err
}

// runChild runs c. The output of a confined child is read before Wait.
func runChild(cmd *exec.Cmd, c child) error {
	if c.confined == nil { // otherwise confine.sh ends with libre
		ended, err := process.StartBound(cmd, syscall.SIGKILL)
		if err != nil {
			return err
		}
		return <-ended
	}
	to := cmd.Stdout
	cmd.Stdout, cmd.Stdin = nil, nil
	rest, err := c.confined.connect(cmd, to)
	if err != nil {
		return err
	}
	rest()
	return cmd.Wait()
}

// query runs c and returns its trimmed standard output.
func query(c child, out *output) (string, error) {
	stdout := &process.Capture{Most: 64 << 20}
	c.stdout = stdout
	err := run(c, out)
	return strings.TrimSpace(stdout.String()), cmp.Or(stdout.Err(), err)
}

func quoteAll(args []string) string {
	quoted := make([]string, len(args))
	for i, a := range args {
		quoted[i] = a
		if a == "" || strings.ContainsFunc(a, func(r rune) bool {
			return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_=/:.,@+%", r)
		}) {
			quoted[i] = strconv.Quote(a)
		}
	}
	return strings.Join(quoted, " ")
}

// passed lists the variables that engines get in addition to process.Environment.
// Settings such as BUILDAH_FORMAT or STORAGE_OPTS would change the image.
var passed = []string{"REGISTRY_AUTH_FILE", "CONTAINERS_REGISTRIES_CONF", "CONTAINERS_CONF", "DOCKER_*", "BUILDX_*", "BUILDKIT_HOST",
	"_CONTAINERS_*"}

// ownStorage lists the variables that select the user's own storage, for Load only.
// podman keeps state until the next boot in TMPDIR.
var ownStorage = []string{"TMPDIR", "CONTAINERS_STORAGE_CONF", "STORAGE_DRIVER", "STORAGE_OPTS", "CONTAINER_HOST", "CONTAINER_CONNECTION"}

// environment returns the variables for a child, including those listed in more.
func environment(more ...string) []string {
	return slices.DeleteFunc(process.Environment(slices.Concat(passed, more)...), func(variable string) bool {
		name, value, _ := strings.Cut(variable, "=")
		switch name {
		case "TMPDIR":
			return !slices.Contains(more, name)
		case "DOCKER_CONFIG":
			return !exists(filepath.Join(value, "config.json")) // buildah fails without the file
		}
		return false
	})
}

package containerfile

import (
	"cmp"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/shell"

	"github.com/libresh/libre/internal/catalog"
)

// FileConfig is the image configuration that a Containerfile sets, in the target and the stages
// that it is built on. It does not include the configuration of the base image.
type FileConfig struct {
	File   string         // in the source
	Config v1.Config      // without Env
	Lines  map[string]int // by instruction (USER, EXPOSE, …; "LABEL NAME" for a label) the last line that sets it, from 1
}

// ReadConfig reads the configuration from the Containerfile of an image. source is the
// folder of the patched source.
func ReadConfig(spec *catalog.Spec, source string) (*FileConfig, error) {
	j, err := jobOf(spec, source)
	if err != nil {
		return nil, err
	}
	if err := j.open(); err != nil {
		return nil, err
	}
	return j.declaredConfig(), nil
}

// Config reads the configuration that a build sets.
func (f *File) Config(u Use) (*FileConfig, error) {
	p, err := f.plan(u)
	if err != nil {
		return nil, err
	}
	return f.config(p, u), nil
}

func (j *job) declaredConfig() *FileConfig {
	config := j.file.config(j.plan, Use{Args: j.Args, Platform: j.Platform})
	config.File = j.File
	return config
}

// config walks from the stage on the base image to the target.
func (f *File) config(p *plan, u Use) *FileConfig {
	w := &configReader{
		config: FileConfig{File: f.name, Lines: map[string]int{}}, lex: shell.NewLex(f.escape),
		env: map[string]string{}, shell: []string{"/bin/sh", "-c"},
	}
	globals := p.globals
	var chain []*stage
	for at := &f.stages[p.target]; at != nil; {
		chain = append(chain, at)
		at = p.from[slices.IndexFunc(f.stages, func(s stage) bool { return s.line == at.line })].stage
	}
	for _, s := range slices.Backward(chain) {
		w.args, w.own = map[string]string{}, map[string]bool{}
		for _, c := range s.Commands {
			if arg, ok := c.(*instructions.ArgCommand); ok {
				w.arg(arg, u.Args, globals)
				continue
			}
			w.command(c)
		}
	}
	return &w.config
}

// configReader is the state while instructions are read in order.
type configReader struct {
	config FileConfig
	lex    *shell.Lex
	env    map[string]string // from ENV
	args   map[string]string // from ARG, in one stage
	own    map[string]bool   // instructions of the current stage
	shell  []string
}

func (w *configReader) arg(c *instructions.ArgCommand, args, globals map[string]string) {
	for _, a := range c.Args {
		if value, ok := args[a.Key]; ok {
			w.args[a.Key] = value
		} else if a.Value != nil {
			w.args[a.Key] = w.expand(*a.Value)
		} else if value, ok := globals[a.Key]; ok {
			w.args[a.Key] = value
		}
	}
}

// expand expands variables in a word. A word with a variable of the base image stays
// unexpanded.
func (w *configReader) expand(word string) string {
	known := maps.Clone(w.args)
	maps.Copy(known, w.env)
	result, err := w.lex.ProcessWordWithMatches(word, getter(known))
	if err != nil || len(result.Unmatched) > 0 && !strings.Contains(word, ":-") {
		return word
	}
	return result.Result
}

func (w *configReader) command(c instructions.Command) {
	config, name := &w.config.Config, strings.ToUpper(c.Name())
	switch c := c.(type) {
	case *instructions.EnvCommand:
		set := map[string]string{} // all pairs of a line see the values before it
		for _, pair := range c.Env {
			set[w.expand(pair.Key)] = w.expand(pair.Value)
		}
		maps.Copy(w.env, set)
		return
	case *instructions.ShellCommand:
		w.shell = c.Shell
		return
	case *instructions.LabelCommand:
		w.label(c)
		return
	case *instructions.ExposeCommand:
		w.expose(c.Ports)
	case *instructions.VolumeCommand:
		for _, volume := range c.Volumes {
			add(&config.Volumes, w.expand(volume))
		}
	case *instructions.UserCommand:
		config.User = w.expand(c.User)
	case *instructions.WorkdirCommand:
		folder := w.expand(c.Path)
		if !path.IsAbs(folder) {
			folder = path.Join(cmp.Or(config.WorkingDir, "/"), folder)
		}
		config.WorkingDir = path.Clean(folder)
	case *instructions.StopSignalCommand:
		config.StopSignal = w.expand(c.Signal)
	case *instructions.HealthCheckCommand:
		config.Healthcheck = &v1.HealthConfig{
			Test: c.Health.Test, Interval: c.Health.Interval, Timeout: c.Health.Timeout, StartPeriod: c.Health.StartPeriod, Retries: c.Health.Retries,
		}
	case *instructions.CmdCommand:
		config.Cmd = w.run(c.ShellDependantCmdLine)
	case *instructions.EntrypointCommand:
		config.Entrypoint = w.run(c.ShellDependantCmdLine)
		if !w.own["CMD"] { // an earlier stage's CMD was for the earlier ENTRYPOINT
			config.Cmd = nil
			delete(w.config.Lines, "CMD")
		}
	default:
		return
	}
	w.own[name] = true
	w.config.Lines[name] = firstLine(c.Location())
}

func (w *configReader) run(c instructions.ShellDependantCmdLine) []string {
	if c.PrependShell {
		return slices.Concat(w.shell, c.CmdLine)
	}
	return c.CmdLine
}

func (w *configReader) label(c *instructions.LabelCommand) {
	for _, pair := range c.Labels {
		name := w.expand(pair.Key)
		if w.config.Config.Labels == nil {
			w.config.Config.Labels = map[string]string{}
		}
		w.config.Config.Labels[name] = w.expand(pair.Value)
		w.config.Lines["LABEL "+name] = firstLine(c.Location())
	}
}

// expose adds ports as NUMBER/PROTOCOL; a word may expand to several ports and ranges.
func (w *configReader) expose(words []string) {
	for _, word := range words {
		for _, each := range strings.Fields(w.expand(word)) {
			numbers, protocol, _ := strings.Cut(each, "/")
			protocol = strings.ToLower(cmp.Or(protocol, "tcp"))
			from, to, isRange := strings.Cut(numbers, "-")
			first, err := strconv.ParseUint(from, 10, 16)
			last, errLast := strconv.ParseUint(to, 10, 16)
			if !isRange || err != nil || errLast != nil || last < first {
				add(&w.config.Config.ExposedPorts, numbers+"/"+protocol)
				continue
			}
			for n := first; n <= last; n++ {
				add(&w.config.Config.ExposedPorts, strconv.FormatUint(n, 10)+"/"+protocol)
			}
		}
	}
}

func add(set *map[string]struct{}, name string) {
	if *set == nil {
		*set = map[string]struct{}{}
	}
	(*set)[name] = struct{}{}
}

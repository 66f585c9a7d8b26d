package containerfile

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"

	"github.com/libresh/libre/internal/fault"
	files "github.com/libresh/libre/internal/file"
)

// Secret is where a value comes from that RUN --mount=type=secret or type=ssh gives to
// a step: exactly one of Environment and File is set, as in Compose.
// https://docs.docker.com/reference/compose-file/secrets/
type Secret struct {
	Environment string   // a variable's name
	File        string   // a path
	Apps        []string // whose Containerfiles may ask for it
}

// maxSecret is how many bytes a secret has at most: Linux takes 128 KiB for a variable,
// by which the engine gets it.
const maxSecret = 120 << 10

// read gives the value. The error names the variable or the file, and what to do.
func (s Secret) read() (string, error) {
	if s.Environment != "" {
		value := os.Getenv(s.Environment)
		if value == "" {
			return "", &fault.Fault{Err: fmt.Errorf("the variable %s is not set", s.Environment), Fix: "set " + s.Environment + " where libre runs"}
		}
		return value, checkSecret(s.Environment, value)
	}
	content, err := files.Read(s.File)
	if err != nil {
		return "", err
	}
	return string(content), checkSecret(s.File, string(content))
}

func checkSecret(name, value string) error {
	switch {
	case value == "":
		return fmt.Errorf("%s is empty", name)
	case len(value) > maxSecret:
		return fmt.Errorf("%s is larger than %d KiB, the limit for a build secret", name, maxSecret>>10)
	case strings.Contains(value, "\x00"):
		return &fault.Fault{Err: fmt.Errorf("%s has a zero byte, which a build secret cannot have", name), Fix: "encode it, for example with base64"}
	}
	return nil
}

// asked is what commands ask for.
type mountRequest struct {
	id       string
	required bool
	line     int // of the first that does, or that requires it
}

// asked are what the used stages ask for by mounts of a kind, each once, in the file's order.
func (j *job) mountRequests(kind instructions.MountType) ([]mountRequest, error) {
	var all []mountRequest
	for _, i := range j.plan.used {
		for _, c := range j.file.stages[i].Commands {
			run, ok := c.(*instructions.RunCommand)
			if !ok {
				continue
			}
			line := firstLine(c.Location())
			if err := run.Expand(func(word string) (string, error) { return word, nil }); err != nil {
				return nil, j.file.errorf(line, "RUN: %s", oneLine(err.Error()))
			}
			for _, m := range instructions.GetMounts(run) {
				if m.Type != kind {
					continue
				}
				id := cmp.Or(m.CacheID, m.Source)
				switch {
				case id == "" && kind == instructions.MountTypeSSH:
					id = "default"
				case id == "":
					id = path.Base(m.Target)
				}
				at := slices.IndexFunc(all, func(r mountRequest) bool { return r.id == id })
				switch {
				case at < 0:
					all = append(all, mountRequest{id, m.Required, line})
				case m.Required && !all[at].required:
					all[at] = mountRequest{id, true, line}
				}
			}
		}
	}
	return all, nil
}

// kinds of what steps ask for, as libre.yaml and people call them.
var kinds = []struct {
	mount   instructions.MountType
	key     string // below build in libre.yaml
	what    string
	example string // of a value
}{
	{instructions.MountTypeSecret, "secrets", "the secret", "environment: VARIABLE"},
	{instructions.MountTypeSSH, "ssh", "the SSH agent", "environment: SSH_AUTH_SOCK"},
}

// readSecrets reads the secrets and agents that the file asks for and that its app may
// have. One that a step requires and nobody gives is an error, before anything is built.
func (j *job) readSecrets() error {
	for k, named := range []map[string]Secret{j.Secrets, j.SSH} {
		kind := kinds[k]
		all, err := j.mountRequests(kind.mount)
		if err != nil {
			return err
		}
		values := map[string]string{}
		for _, a := range all {
			secret, known := named[a.id]
			var value string
			var why error
			switch {
			case !known && !a.required:
				continue
			case !known:
				why = &fault.Fault{
					Err: errors.New("it is not configured"),
					Fix: fmt.Sprintf("set it in libre.yaml, for example build: {%s: {%s: {%s, apps: [%s]}}}", kind.key, a.id, kind.example, j.App),
				}
			case !slices.Contains(secret.Apps, j.App):
				why = &fault.Fault{
					Err: fmt.Errorf("build.%s.%s in libre.yaml does not list %s", kind.key, a.id, cmp.Or(j.App, "this")),
					Fix: fmt.Sprintf("if its upstream may read it, add %s to build.%s.%s.apps", j.App, kind.key, a.id),
				}
			default:
				value, why = secret.read()
			}
			if why == nil {
				values[a.id] = value
				continue
			}
			asks := j.file.errorf(a.line, "RUN asks for %s %s", kind.what, a.id)
			if a.required {
				return &fault.Fault{Err: fmt.Errorf("%w: %s", asks, fault.Reason(why)), Fix: fault.Fix(why)}
			}
			if j.Warn != nil {
				without := &fault.Fault{Err: fmt.Errorf("%w, and runs without it: %s", asks, fault.Reason(why)), Fix: fault.Fix(why)}
				j.Warn(without.Error())
			}
		}
		switch kind.mount {
		case instructions.MountTypeSecret:
			j.secrets = values
		case instructions.MountTypeSSH:
			j.agents = values
		}
	}
	return nil
}

// secretFlags are those of "build" by which an engine takes the secrets from variables,
// and these variables: arguments of a process everybody may read.
func (j *job) secretFlags() (flags, variables []string) {
	for i, id := range slices.Sorted(maps.Keys(j.secrets)) {
		name := fmt.Sprintf("LIBRE_SECRET_%d", i)
		flags = append(flags, "--secret=id="+id+",env="+name)
		variables = append(variables, name+"="+j.secrets[id])
	}
	return flags, variables
}

// secretValues are what no log says: secrets, and a proxy that has a login.
func (j *job) secretValues() []string {
	values := slices.Collect(maps.Values(j.secrets))
	for _, value := range j.agents {
		if isKey(value) {
			values = append(values, value)
		}
	}
	return append(values, j.proxy.secrets()...)
}

// isKey tells a private key from the path of an agent's socket.
func isKey(value string) bool { return strings.Contains(value, "-----BEGIN ") }

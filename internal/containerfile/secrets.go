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
	"github.com/libresh/libre/internal/text"
)

// Secret is the source of a value for RUN --mount=type=secret or type=ssh: exactly one of
// Environment and File is set, as in Compose.
// https://docs.docker.com/reference/compose-file/secrets/
type Secret struct {
	Environment string   // a variable's name
	File        string   // a path
	Apps        []string // the apps that may use it in their Containerfiles
}

// maxSecret is the largest secret, in bytes: the engine gets it as a variable, which
// Linux limits to 128 KiB.
const maxSecret = 120 << 10

// read returns the value. The error names the variable or the file, and has a fix.
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

// mountRequest is a secret or agent that commands mount.
type mountRequest struct {
	id       string
	required bool
	line     int // of the first command that requires it, else of the first
}

// mountRequests returns what the used stages request with mounts of a kind, each once, in
// the file's order.
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
				return nil, j.file.errorf(line, "RUN: %s", text.Line(err.Error()))
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

// kinds has the names of these mounts in libre.yaml and in messages.
var kinds = []struct {
	mount   instructions.MountType
	key     string // below build in libre.yaml
	what    string
	example string // of a value
}{
	{instructions.MountTypeSecret, "secrets", "the secret", "environment: VARIABLE"},
	{instructions.MountTypeSSH, "ssh", "the SSH agent", "environment: SSH_AUTH_SOCK"},
}

// readSecrets reads the secrets and agents that the file requests and its app may use. A
// missing one that a step requires is an error.
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
			request := j.file.errorf(a.line, "RUN asks for %s %s", kind.what, a.id)
			if a.required {
				return &fault.Fault{Err: fmt.Errorf("%w: %s", request, fault.Reason(why)), Fix: fault.Fix(why)}
			}
			if j.Warn != nil {
				without := &fault.Fault{Err: fmt.Errorf("%w, and runs without it: %s", request, fault.Reason(why)), Fix: fault.Fix(why)}
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

// secretFlags returns the flags of "build" that pass secrets, and the variables with their
// values. The values are not in arguments, which every user can read.
func (j *job) secretFlags() (flags, variables []string) {
	for i, id := range slices.Sorted(maps.Keys(j.secrets)) {
		name := fmt.Sprintf("LIBRE_SECRET_%d", i)
		flags = append(flags, "--secret=id="+id+",env="+name)
		variables = append(variables, name+"="+j.secrets[id])
	}
	return flags, variables
}

// secretValues returns the values to mask in logs: secrets, keys, and the proxy.
func (j *job) secretValues() []string {
	values := slices.Collect(maps.Values(j.secrets))
	for _, value := range j.agents {
		if isKey(value) {
			values = append(values, value)
		}
	}
	return append(values, j.proxy.secrets()...)
}

// isKey distinguishes a private key from the path of an agent's socket.
func isKey(value string) bool { return strings.Contains(value, "-----BEGIN ") }

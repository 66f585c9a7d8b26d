package containerfile

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
)

// writeShells rewrites CMD and ENTRYPOINT with the shell of SHELL, on the same lines:
// buildah and podman always use /bin/sh -c.
func (f *File) writeShells(lines []string, p *plan, base func(Base) fetched) error {
	shells := map[int][]string{} // by line of FROM; none: the default
	for _, i := range p.used {
		s := &f.stages[i]
		var shell []string
		switch from := p.from[i]; {
		case from.stage != nil:
			shell = shells[from.stage.line]
		case from.base != nil:
			shell = base(*from.base).shell
		}
		for _, c := range s.Commands {
			var command instructions.ShellDependantCmdLine
			switch c := c.(type) {
			case *instructions.ShellCommand:
				shell = c.Shell
			case *instructions.CmdCommand:
				command = c.ShellDependantCmdLine
			case *instructions.EntrypointCommand:
				command = c.ShellDependantCmdLine
			}
			if !command.PrependShell || len(shell) == 0 {
				continue
			}
			exec, err := json.Marshal(slices.Concat(shell, command.CmdLine))
			if err != nil {
				return err
			}
			first := firstLine(c.Location()) - 1
			clear(lines[first:lastLine(c.Location())])
			lines[first] = strings.ToUpper(c.Name()) + " " + string(exec)
		}
		shells[s.line] = shell
	}
	return nil
}

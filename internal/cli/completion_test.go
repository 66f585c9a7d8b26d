package cli

import (
	"bytes"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/libresh/libre/internal/ui"
)

// eachFlag visits the flags of all commands that take a value.
func eachFlag(cmd *cobra.Command, visit func(cmd *cobra.Command, flag *pflag.Flag)) {
	cmd.LocalFlags().VisitAll(func(flag *pflag.Flag) {
		if flag.Value.Type() != "bool" {
			visit(cmd, flag)
		}
	})
	for _, below := range cmd.Commands() {
		eachFlag(below, visit)
	}
}

// completed are the words for a flag of a command, and the directive to the shell.
func completed(t *testing.T, line ...string) (words []string, directive string) {
	var stdout bytes.Buffer
	if code := Main(t.Context(), append([]string{"__complete"}, line...), ui.Options{Stdout: &stdout, Stderr: io.Discard}); code != exitDone {
		t.Fatalf("%s: exit code %d", line, code)
	}
	words = strings.Split(strings.TrimSpace(stdout.String()), "\n")
	return words[:len(words)-1], words[len(words)-1]
}

func TestValuesOfFlagsAreCompleted(t *testing.T) {
	t.Chdir(t.TempDir())
	known := map[string]bool{}
	for _, name := range slices.Concat(takesFile, takesFolder, takesAny) {
		known[name] = false
	}
	for name := range fixedValues {
		known[name] = false
	}
	eachFlag(newEnv(ui.Options{}).rootCommand(), func(cmd *cobra.Command, flag *pflag.Flag) {
		command := strings.Fields(cmd.CommandPath())[1:]
		for _, name := range []string{flag.Name, cmd.Name() + " " + flag.Name} {
			if _, is := known[name]; is {
				known[name] = true
			}
		}
		words, directive := completed(t, slices.Concat(command, []string{"--" + flag.Name, ""})...)
		named := strings.ToUpper(flag.Usage)
		switch isFile := slices.Contains(slices.Concat(takesFile, takesAny), flag.Name); {
		case strings.Contains(flag.Usage, "`FILE`") && !isFile, strings.Contains(flag.Usage, "`PLAN`") && !isFile:
			t.Errorf("%s --%s takes a file: add it to takesFile", cmd.CommandPath(), flag.Name)
		case strings.Contains(named, "`DIR`") && !slices.Contains(takesFolder, flag.Name):
			t.Errorf("%s --%s takes a folder: add it to takesFolder", cmd.CommandPath(), flag.Name)
		case strings.Contains(named, "`FORMAT`") && len(words) < 2:
			t.Errorf("%s --%s has formats: add them to fixedValues", cmd.CommandPath(), flag.Name)
		case strings.Contains(flag.Usage, "`: ") && flag.NoOptDefVal == "" && len(words) < 2:
			t.Errorf("%s --%s has a list of words: add them to fixedValues", cmd.CommandPath(), flag.Name)
		case directive == ":0" && !isFile:
			t.Errorf("%s --%s is completed with files", cmd.CommandPath(), flag.Name)
		}
	})
	for name, used := range known {
		if !used {
			t.Errorf("no command has the flag %s, which is completed", name)
		}
	}
}

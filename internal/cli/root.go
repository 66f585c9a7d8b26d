// Package cli is libre's command line. Each command has a file, with its options, which
// flags fill, and a run method that makes one call and prints the result. Exit codes are
// in errors.go.
package cli

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/libresh/libre/internal/ui"
)

// Main runs libre with its arguments and returns the exit code.
func Main(ctx context.Context, args []string, options ui.Options) int {
	// Files that libre makes are never writable by everybody, whatever the umask.
	syscall.Umask(syscall.Umask(0) | 0o002)
	e := newEnv(options)
	e.args = args
	root := e.rootCommand()
	root.SetArgs(args)
	root.SetOut(options.Stdout)
	root.SetErr(options.Stderr)
	err := root.ExecuteContext(ctx)
	if ctx.Err() != nil && err != nil {
		err = ctx.Err()
	}
	if endErr := e.profiles.end(); err == nil {
		err = endErr
	}
	if err != nil && !e.running {
		err = usageError{plainUsage(err)} // from cobra: an unknown command, flags that exclude each other
	}
	if err != nil {
		e.report(err)
	}
	return exitCode(err)
}

func (e *env) rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "libre",
		Short: "Build and publish the container images of a catalogue of web applications",
		Long: `Build, publish and update the container images of a catalogue of web
applications.

A catalogue is a Nix flake with a folder apps/. libre builds an image for each
component and variant of an app, publishes images with a signature, SBOMs and
provenance, and follows upstream's releases.

Images are named APP-COMPONENT-VARIANT:VERSION-PACKAGEVERSION. Select them as
docs, docs/backend or docs/backend/lyon. Each part can be a glob, and @GROUP
selects a group of libre.yaml.

Settings are in libre.yaml, next to flake.nix. The variables LIBRE_REGISTRY,
LIBRE_PACKAGE_SET and LIBRE_ENGINE override it, and flags override both.

Results go to stdout: a table on a terminal, tab-separated lines elsewhere.
Progress and notes go to stderr.

Exit codes: 0 success, 1 error, 2 wrong usage, 3 some images or apps failed,
4 credentials, 10 something is outdated (bump --check), 130 interrupted.`,
		SilenceErrors: true,
		SilenceUsage:  true,
		PersistentPreRunE: func(*cobra.Command, []string) error {
			err := e.start()
			e.running = err != nil && !errors.As(err, new(usageError))
			return err
		},
	}
	e.addGlobalFlags(root)
	root.SetFlagErrorFunc(flagError)
	root.SetHelpCommand(e.helpCommand())
	root.Version = thisVersion().String()
	root.SetVersionTemplate("{{.Version}}\n")
	root.SetUsageTemplate(strings.ReplaceAll(root.UsageTemplate(), "FlagUsages", "FlagUsagesWrapped 80"))
	root.CompletionOptions.DisableDefaultCmd = true
	root.AddCommand(
		e.listCommand(), e.showCommand(), e.planCommand(), e.buildCommand(), e.pushCommand(), e.statusCommand(),
		e.verifyCommand(), e.sbomCommand(), e.renderCommand(), e.runCommand(), e.gateCommand(), e.shellCommand(), e.schemaCommand(), e.vexCommand(), e.findCommand(), e.scanCommand(),
		e.diffCommand(), e.licensesCommand(), e.bumpCommand(), e.patchCommand(), e.editCommand(), e.hashCommand(), e.checkCommand(), e.withdrawCommand(), e.siteCommand(), e.serveCommand(), e.logsCommand(), e.gcCommand(), e.pruneCommand(), e.keygenCommand(),
		e.initCommand(), e.newCommand(), e.doctorCommand(), e.loginCommand(), e.completionCommand(), e.versionCommand(),
	)
	e.noteRunning(root)
	e.completeFlags(root)
	return root
}

// noteRunning makes each subcommand note that the command line is valid.
func (e *env) noteRunning(parent *cobra.Command) {
	for _, command := range parent.Commands() {
		if run := command.RunE; run != nil {
			command.RunE = func(cmd *cobra.Command, args []string) error {
				e.running = true
				return run(cmd, args)
			}
		}
		e.noteRunning(command)
	}
}

func (e *env) addGlobalFlags(root *cobra.Command) {
	flags := root.PersistentFlags()
	flags.StringVarP(&e.directory, "directory", "C", "", "use the catalogue in `DIR` (default: the nearest flake.nix, here or above)")
	flags.StringVar(&e.packageSet, "package-set", "", "take packages from `SET`: nixpkgs, or host, which is this machine's Go and busybox (default: packageSet in libre.yaml, else nixpkgs)")
	flags.BoolVar(&e.localInputs, "allow-local-inputs", false, "allow flake inputs that are local files or not locked")
	flags.StringVar(&e.builders, "builders", "", "let Nix build on `MACHINES`, as nix --builders does")
	flags.BoolVarP(&e.options.Quiet, "quiet", "q", false, "write no progress and no notes, only warnings, errors and the result")
	flags.BoolVarP(&e.options.Verbose, "verbose", "v", false, "also write the lines of builds as they come, and list what is unchanged")
	e.profiles.addFlags(flags)
	flags.StringVar(&e.logFormat, "log-format", "text", "write stderr as `FORMAT`: text or json")
}

// start applies the global flags.
func (e *env) start() error {
	switch {
	case e.options.Quiet && e.options.Verbose:
		return usageError{errors.New("--quiet and --verbose: give one of them, not both")}
	case e.logFormat != "text" && e.logFormat != "json":
		return usageError{fmt.Errorf("log format %q, expected text or json", e.logFormat)}
	}
	e.options.JSON = e.logFormat == "json"
	e.UI = ui.New(e.options)
	return errors.Join(e.useSafeTemporary(), e.profiles.start())
}

// takes checks the number of a command's arguments.
func takes(least, most int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) >= least && len(args) <= most {
			return nil
		}
		got := fmt.Sprintf("%d arguments", len(args))
		switch len(args) {
		case 0:
			got = "no argument"
		case 1:
			got = strconv.Quote(args[0])
		}
		return usageError{fmt.Errorf("got %s, expected: %s %s", got, cmd.Parent().CommandPath(), cmd.Use)}
	}
}

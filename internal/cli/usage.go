package cli

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/libresh/libre/internal/lazyregexp"
)

// usageError is a mistake in the command line.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

var (
	exclusiveFlags = lazyregexp.New(`^if any flags in the group \[.*; \[(.*)\] were all set$`)
	unknownCommand = lazyregexp.New(`^(unknown command .*)\n\nDid you mean this\?\n((?:\t.*\n)+)\n*$`)
)

// plainUsage returns cobra's errors on one line, in libre's words.
func plainUsage(err error) error {
	if found := exclusiveFlags().FindStringSubmatch(err.Error()); found != nil {
		return fmt.Errorf("--%s: give one of them, not both", strings.Join(strings.Fields(found[1]), " and --"))
	}
	if found := unknownCommand().FindStringSubmatch(err.Error()); found != nil {
		return errors.New(found[1] + didYouMean(strings.Fields(found[2])))
	}
	return err
}

func didYouMean(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return ", did you mean " + strings.Join(names, " or ") + "?"
}

// flagError returns the error of a flag: which flag was probably meant, and where the help
// is.
func flagError(cmd *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	suggestion := ""
	if errors.As(err, &unknown) {
		suggestion = didYouMean(similarFlags(cmd, unknown.GetSpecifiedName()))
	}
	var invalid *pflag.InvalidValueError
	if errors.As(err, &invalid) && errors.As(err, new(*strconv.NumError)) { // of a bool: see number
		err = fmt.Errorf("--%s=%s, expected true or false", invalid.GetFlag().Name, invalid.GetValue())
	}
	return usageError{fmt.Errorf("%w%s; see %s --help", err, suggestion, cmd.CommandPath())}
}

// similarFlags returns the flags of a command with a similar name, as cobra finds commands.
func similarFlags(cmd *cobra.Command, name string) []string {
	names := &cobra.Command{SuggestionsMinimumDistance: 2}
	cmd.Flags().VisitAll(func(flag *pflag.Flag) {
		if !flag.Hidden {
			names.AddCommand(&cobra.Command{Use: flag.Name, Run: func(*cobra.Command, []string) {}})
		}
	})
	similar := names.SuggestionsFor(name)
	for i := range similar {
		similar[i] = "--" + similar[i]
	}
	return similar
}

// helpCommand is cobra's, except that an unknown command is an error.
func (e *env) helpCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND]",
		Short: "Help about any command",
		Long:  "Print how a command is used, as libre COMMAND --help does.",
		RunE: func(cmd *cobra.Command, args []string) error {
			found, rest, err := cmd.Root().Find(args)
			if err == nil && len(rest) > 0 {
				err = fmt.Errorf("unknown command %q for %q", rest[0], found.CommandPath())
			}
			if err != nil {
				return usageError{plainUsage(err)}
			}
			found.InitDefaultHelpFlag()
			return found.Help()
		},
		ValidArgsFunction: func(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
			var names []string
			if found, _, err := cmd.Root().Find(args); err == nil {
				for _, command := range found.Commands() {
					if command.IsAvailableCommand() && strings.HasPrefix(command.Name(), typed) {
						names = append(names, cobra.CompletionWithDesc(command.Name(), command.Short))
					}
				}
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
	}
}

package cli

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/libresh/libre/internal/text"
)

// addSummary gives a command the flag --summary, which writes its tables and its error as
// Markdown.
func (e *env) addSummary(cmd *cobra.Command) {
	file := cmd.Flags().String("summary", "", "append the tables as Markdown to `FILE`, such as $GITHUB_STEP_SUMMARY")
	run := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if *file == "" {
			return run(cmd, args)
		}
		// Open the file before minutes of building.
		f, err := os.OpenFile(*file, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
		if err != nil {
			return usageError{fmt.Errorf("--summary: %w", err)}
		}
		defer f.Close()
		var summary strings.Builder
		summary.WriteString("### " + cmd.CommandPath() + "\n\n")
		e.Summarize(&summary)
		err = run(cmd, args)
		if err != nil && err.Error() != "" {
			summary.WriteString("**Error:** " + text.Markdown(err.Error()) + "\n\n")
		}
		if _, writeErr := f.WriteString(summary.String()); writeErr != nil && err == nil {
			err = fmt.Errorf("writing the summary: %w", writeErr)
		}
		return err
	}
}

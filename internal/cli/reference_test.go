package cli

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/cpuguy83/go-md2man/v2/md2man"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/libresh/libre/internal/ui"
)

// TestReferenceIsOfTheCommands holds docs/cli and man against the commands. Both are made
// of them: UPDATE_GOLDEN=1 go test ./internal/cli -run TestReference
func TestReferenceIsOfTheCommands(t *testing.T) {
	pages, manuals := map[string]string{}, map[string]string{}
	root := newEnv(ui.Options{}).rootCommand()
	for _, command := range commandsBelow(root) {
		pages[pageName(command)+".md"] = markdownPage(command)
		manuals[strings.ReplaceAll(command.CommandPath(), " ", "-")+".1"] = string(md2man.Render([]byte(manualPage(command))))
	}
	sameFiles(t, "../../docs/cli", pages)
	sameFiles(t, "../../man", manuals)
}

// commandsBelow lists a command and those below it that people see.
func commandsBelow(command *cobra.Command) []*cobra.Command {
	all := []*cobra.Command{command}
	command.InitDefaultHelpFlag()
	command.InitDefaultVersionFlag()
	for _, below := range command.Commands() {
		if below.IsAvailableCommand() && below.Name() != "help" {
			all = append(all, commandsBelow(below)...)
		}
	}
	return all
}

// sameFiles compares a folder with the files that it should have, or writes them.
func sameFiles(t *testing.T, dir string, want map[string]string) {
	t.Helper()
	stale := func(name string) {
		t.Errorf("%s is stale: UPDATE_GOLDEN=1 go test ./internal/cli -run TestReference", filepath.Join(dir, name))
	}
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := writeFiles(dir, want); err != nil {
			t.Fatal(err)
		}
	}
	found, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range found {
		if _, ok := want[file.Name()]; !ok {
			stale(file.Name())
		}
	}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if stands, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(stands) != want[name] {
			stale(name)
		}
	}
}

func writeFiles(dir string, files map[string]string) error {
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// pageName is "libre" for the root, "vex-add" for libre vex add.
func pageName(command *cobra.Command) string {
	return strings.ReplaceAll(strings.TrimPrefix(command.CommandPath(), "libre "), " ", "-")
}

// markdownPage is the page of a command in docs/cli.
func markdownPage(command *cobra.Command) string {
	var page strings.Builder
	fmt.Fprintf(&page, "# %s\n\n<!-- Made from the command: UPDATE_GOLDEN=1 go test ./internal/cli -run TestReference -->\n\n", command.CommandPath())
	fmt.Fprintf(&page, "%s\n\n```text\n%s\n```\n", described(command), usage(command))
	if command.Example != "" {
		fmt.Fprintf(&page, "\n## Examples\n\n```sh\n%s\n```\n", withoutIndent(command.Example))
	}
	page.WriteString("\n## Flags\n\n")
	for _, flag := range flagsOf(command) {
		fmt.Fprintf(&page, "- %s: %s\n", flag.term, flag.usage)
	}
	if command.HasParent() {
		page.WriteString("\n[libre](libre.md) has the flags that every command takes.\n")
	}
	if below := commandsBelow(command)[1:]; len(below) > 0 {
		page.WriteString("\n## Commands\n\n")
		for _, one := range below {
			fmt.Fprintf(&page, "- [%s](%s.md): %s\n", one.CommandPath(), pageName(one), one.Short)
		}
	}
	return page.String()
}

// manualPage is a command's manual page, as Markdown for md2man. It has no date: the same
// commands give the same bytes.
func manualPage(command *cobra.Command) string {
	title := strings.ReplaceAll(command.CommandPath(), " ", "-")
	var page strings.Builder
	fmt.Fprintf(&page, "%% %q \"1\" \"\" \"libre\" \"libre\"\n# NAME\n%s \\- %s\n\n", strings.ToUpper(title), title, command.Short)
	fmt.Fprintf(&page, "# SYNOPSIS\n%s\n\n# DESCRIPTION\n%s\n\n# OPTIONS\n", escaped(usage(command)), described(command))
	for _, flag := range flagsOf(command) {
		fmt.Fprintf(&page, "%s\n: %s\n\n", flag.term, flag.usage)
	}
	if command.Example != "" {
		fmt.Fprintf(&page, "# EXAMPLES\n```\n%s\n```\n\n", withoutIndent(command.Example))
	}
	var also []string
	for _, one := range append(commandsBelow(command)[1:], command.Parent()) {
		if one != nil {
			also = append(also, "**"+strings.ReplaceAll(one.CommandPath(), " ", "-")+"**(1)")
		}
	}
	return page.String() + "# SEE ALSO\n" + strings.Join(also, ", ") + "\n"
}

func usage(command *cobra.Command) string {
	if !command.Runnable() {
		return command.CommandPath() + " COMMAND [flags]"
	}
	return command.UseLine()
}

// A flagText is a flag in Markdown.
type flagText struct{ term, usage string }

func flagsOf(command *cobra.Command) (all []flagText) {
	command.LocalFlags().VisitAll(func(flag *pflag.Flag) {
		if flag.Hidden {
			return
		}
		name, usage := pflag.UnquoteUsage(flag)
		term := "`--" + flag.Name + "`"
		if flag.Shorthand != "" {
			term = "`-" + flag.Shorthand + "`, " + term
		}
		if name != "" {
			term += " *" + escaped(name) + "*"
		}
		if !slices.Contains([]string{"", "false", "[]", "0"}, flag.DefValue) {
			usage += " (default: " + flag.DefValue + ")"
		}
		all = append(all, flagText{term, escaped(usage)})
	})
	return all
}

// described is a command's help as Markdown: paragraphs, and lists and tables as they
// stand there.
func described(command *cobra.Command) string {
	text := command.Long
	if text == "" {
		text = command.Short + "."
	}
	var blocks []string
	for paragraph := range strings.SplitSeq(text, "\n\n") {
		blocks = append(blocks, markdownBlocks(strings.Split(paragraph, "\n"))...)
	}
	return strings.Join(blocks, "\n\n")
}

// markdownBlocks splits the lines of a paragraph: those that are indented are a block of
// their own.
func markdownBlocks(lines []string) (blocks []string) {
	for len(lines) > 0 {
		indented := strings.HasPrefix(lines[0], "  ")
		end := slices.IndexFunc(lines, func(line string) bool { return strings.HasPrefix(line, "  ") != indented })
		if end < 0 {
			end = len(lines)
		}
		block := strings.Join(lines[:end], "\n")
		if indented {
			block = "```text\n" + withoutIndent(block) + "\n```"
		} else {
			block = escaped(block)
		}
		blocks, lines = append(blocks, block), lines[end:]
	}
	return blocks
}

func withoutIndent(text string) string {
	return strings.TrimPrefix(strings.ReplaceAll(text, "\n  ", "\n"), "  ")
}

// signs are those that Markdown reads as its own.
var signs = regexp.MustCompile("[*_<>`\\[\\]|\\\\]|(?m:^[+#])")

// flagInText is a flag that a sentence names.
var flagInText = regexp.MustCompile(`(?m)(^|[\s(])(--[a-z][a-z-]*|-[A-Za-z])\b`)

// escaped is plain text as Markdown, with the flags that it names as code.
func escaped(text string) string {
	return flagInText.ReplaceAllString(signs.ReplaceAllString(text, `\$0`), "$1`$2`")
}

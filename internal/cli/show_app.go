package cli

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/describe"
	"github.com/libresh/libre/internal/text"
)

// fields is text with a name and a value on each line.
type fields struct{ strings.Builder }

// line adds a field, unless its value is empty.
func (s *fields) line(name, value string) {
	if value != "" {
		fmt.Fprintf(s, "%-12s %s\n", name, value)
	}
}

// aboutApp is an app's metadata for people.
func aboutApp(app catalog.App, document *describe.Application, shells map[catalog.ID][]string) string {
	var b fields
	fmt.Fprintf(&b, "%s %s\n", app.Name, catalog.Tag(app.Version, app.PackageVersion))
	b.line("  about", app.Meta.Description)
	b.line("  homepage", app.Meta.Homepage)
	b.line("  licence", app.Meta.License)
	if source := app.Source; source != nil {
		b.line("  source", strings.Join(nonEmpty(source.Kind, source.Page, source.Revision, source.Date), "  "))
		b.line("  hash", source.Hash)
	}
	b.line("  variants", strings.Join(app.Variants, ", "))
	if migration := app.Migration; migration != nil {
		from := ""
		if migration.MinFrom != "" {
			from = "from " + migration.MinFrom
		}
		b.line("  migration", strings.Join(nonEmpty(migration.Kind, from, migration.Notes), "  "))
	}
	if backup := document.Spec.Backup; backup != nil {
		together := strings.Join(backup.Together, " and ")
		if len(backup.RestoreOrder) > 0 {
			together += ", restored in the order " + strings.Join(backup.RestoreOrder, ", ")
		}
		b.line("  backup", strings.Join(nonEmpty(together, backup.Notes), "  "))
	}
	for _, name := range slices.Sorted(maps.Keys(app.Components)) {
		b.component(name, app.Components[name])
		if paths, known := shells[catalog.ID{App: app.Name, Component: name, Variant: "default"}]; known {
			b.line("    shell", cmp.Or(strings.Join(paths, " "), "none"))
		}
	}
	for _, attribute := range []string{"version", "packageVersion", "source.hash"} {
		if at := app.Positions[attribute]; at != nil {
			b.line("  defined at", fmt.Sprintf("%s:%d:%d  %s", at.File, at.Line, at.Column, attribute))
		}
	}
	return b.String()
}

func (b *fields) component(name string, c catalog.Component) {
	fmt.Fprintf(b, "  component %s (%s)\n", name, c.Kind)
	b.line("    about", c.Description)
	var ports []string
	for _, port := range slices.Sorted(maps.Keys(c.Ports)) {
		shown := fmt.Sprintf("%s %d", port, c.Ports[port])
		if protocol := c.Protocols[port]; protocol != "" {
			shown += "/" + protocol
		}
		ports = append(ports, shown)
	}
	b.line("    ports", strings.Join(ports, ", "))
	b.line("    health", health(c))
	b.line("    volumes", strings.Join(c.Volumes, ", "))
	b.line("    licence", c.License)
	b.upstream(c)
	for _, base := range slices.Sorted(maps.Keys(c.Bases)) {
		b.line("    base", base+"  "+c.Bases[base])
	}
}

// upstream shows each instruction of the Containerfile, and below it what the image has
// instead.
func (b *fields) upstream(c catalog.Component) {
	switch {
	case c.Kind != "containerfile" || len(c.Upstream) > 0:
	case c.Upstream == nil:
		b.line("    upstream", "unknown: the source is not in the Nix store, and dist has no image")
	default:
		b.line("    upstream", "sets no image configuration")
	}
	for _, instruction := range c.Upstream {
		before := instruction.Instruction + " "
		if strings.HasPrefix(before, "LABEL ") {
			before = instruction.Instruction + "="
		}
		b.line("    upstream", text.Line(before+instruction.Value)+"  ("+instruction.From+")")
		switch instruction.Instead {
		case "":
		case "nothing":
			b.line("    differs", text.Line("the image has no "+instruction.Instruction))
		default:
			b.line("    differs", text.Line("the image has "+before+instruction.Instead))
		}
	}
}

// health describes a component's health check.
func health(c catalog.Component) string {
	check := c.HealthCheck
	if check == nil {
		return c.Health
	}
	what := check.Path
	switch {
	case check.Port != "":
		what += " on port " + check.Port
	case check.Command != nil:
		what = "command " + strings.Join(check.Command, " ")
	case check.TCP != "":
		what = "port " + check.TCP + " accepts connections"
	case check.GRPC != "":
		what = "gRPC on port " + check.GRPC
	}
	var limits []string
	limit := func(n int, format string) {
		if n != 0 {
			limits = append(limits, fmt.Sprintf(format, n))
		}
	}
	limit(check.Interval, "every %ds")
	limit(check.Timeout, "timeout %ds")
	limit(check.StartPeriod, "start period %ds")
	limit(check.Retries, "retries %d")
	return strings.Join(nonEmpty(what, strings.Join(limits, ", ")), "  ")
}

func nonEmpty(words ...string) []string {
	return slices.DeleteFunc(words, func(word string) bool { return word == "" })
}

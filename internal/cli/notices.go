package cli

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/libresh/libre/internal/atomicfile"
	"github.com/libresh/libre/internal/release/build"
	"github.com/libresh/libre/internal/text"
)

// writeNotices writes the texts of the licenses of images to a file, or to stdout.
func (e *env) writeNotices(ctx context.Context, ws *workspace, output string, images []build.Described, file string) error {
	builder, err := ws.builder(ctx, output)
	if err != nil {
		return err
	}
	if builder.Files, err = ws.scanner(); err != nil {
		return err
	}
	defer builder.Files.Close()
	content, missing, err := notices(ctx, builder, images)
	if err != nil {
		return err
	}
	if file == "-" {
		err = e.Printf("%s", content)
	} else {
		err = atomicfile.Write(file, []byte(content), 0o644)
	}
	if err == nil && len(missing) > 0 {
		e.Warnf("no license text found for %s: the notices have only the name of the license", text.Enumerate(missing, ", ", 10))
	}
	return err
}

const rule = "================================================================================\n"

// notices has each text once, below the components that it is of, sorted by their names. It
// also returns the components without a text.
func notices(ctx context.Context, builder *build.Builder, images []build.Described) (content string, missing []string, err error) {
	owners := map[string][]string{} // text → components
	var names []string
	for _, image := range images {
		names = append(names, image.Target.Ref.String())
		texts, err := builder.LicenseTexts(ctx, image)
		if err != nil {
			return "", nil, err
		}
		for _, c := range image.Document.Components {
			heading := strings.TrimRight(text.Line(fmt.Sprintf("%s %s (%s)", c.Name, c.Version, cmp.Or(c.License.Expression, "license not known"))), " ")
			for _, found := range texts[c.ID] {
				owners[found] = append(owners[found], heading)
			}
			if len(texts[c.ID]) == 0 && c.License.Expression != "" {
				owners[""] = append(owners[""], heading)
				missing = append(missing, c.Name)
			}
		}
	}
	type section struct{ heading, text string }
	var sections []section
	for found, components := range owners {
		slices.Sort(components)
		sections = append(sections, section{strings.Join(slices.Compact(components), "\n"), found})
	}
	slices.SortFunc(sections, func(a, b section) int {
		return cmp.Or(strings.Compare(a.heading, b.heading), strings.Compare(a.text, b.text))
	})
	var b strings.Builder
	fmt.Fprintf(&b, "Licenses of what is in %s\n\n", strings.Join(names, ", "))
	for _, s := range sections {
		body := text.Output(s.text)
		if s.text == "" {
			body = "The image has no text of these licenses: see https://spdx.org/licenses/\n"
		}
		b.WriteString(rule + s.heading + "\n" + rule + "\n" + strings.TrimRight(body, "\n") + "\n\n")
	}
	slices.Sort(missing)
	return b.String(), slices.Compact(missing), nil
}

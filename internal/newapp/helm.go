package newapp

import (
	"path"
	"regexp"

	"gopkg.in/yaml.v3"

	"github.com/libresh/libre/internal/text"
)

// readCharts reads the Helm charts of the source: their dependencies are needs.
func (f *Findings) readCharts(t *tree) {
	for _, name := range t.find(regexp.MustCompile(`^Chart\.yaml$`)) {
		var chart struct {
			Name, Description, Home string
			Dependencies            []struct{ Name string }
		}
		if content := t.read(name); content == nil || yaml.Unmarshal(content, &chart) != nil {
			continue
		}
		f.found("Helm chart %s", text.Name(path.Dir(name)))
		f.describe(chart.Description)
		f.setHomepage(chart.Home)
		for _, dependency := range chart.Dependencies {
			if kind := kindOfImage(dependency.Name); kind != "" {
				f.need(kind, "the Helm chart has "+text.Name(dependency.Name))
			}
		}
	}
}

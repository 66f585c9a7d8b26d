package newapp

import (
	"cmp"
	"net/url"

	"gopkg.in/yaml.v3"

	"github.com/libresh/libre/internal/text"
)

// publicCode has the fields of a publiccode.yml that libre reads.
// https://yml.publiccode.tools/schema.core.html
type publicCode struct {
	Name        string                                       `yaml:"name"`
	URL         string                                       `yaml:"url"`
	LandingURL  string                                       `yaml:"landingURL"`
	Legal       struct{ License string }                     `yaml:"legal"`
	Description map[string]struct{ ShortDescription string } `yaml:"description"`
}

func (f *Findings) readPublicCode(t *tree) {
	for _, name := range []string{"publiccode.yml", "publiccode.yaml"} {
		var p publicCode
		if content := t.read(name); content == nil || yaml.Unmarshal(content, &p) != nil {
			continue
		}
		f.found("%s", name)
		f.description = p.Description["en"].ShortDescription
		for _, language := range p.Description {
			f.description = cmp.Or(f.description, language.ShortDescription)
		}
		f.setHomepage(cmp.Or(p.LandingURL, p.URL))
		f.declared(p.Legal.License, name)
		return
	}
}

// setHomepage takes an address for browsers, unless there is one.
func (f *Findings) setHomepage(address string) {
	place, err := url.Parse(address)
	if f.homepage == "" && err == nil && (place.Scheme == "https" || place.Scheme == "http") && place.Host != "" {
		f.homepage = text.PublicURL(address)
	}
}

// describe takes a description, unless there is one.
func (f *Findings) describe(description string) {
	if f.description == "" {
		f.description = text.Short(description, 200)
	}
}

package cli

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/libresh/libre/internal/describe"
	"github.com/libresh/libre/internal/ui"
)

// printTables prints what an app needs and how it is run, a table each, for people.
func (e *env) printTables(a *describe.Application) error {
	for _, t := range []struct {
		title string
		table ui.Table
	}{
		{"Services", servicesTable(a)},
		{"Needs", needsTable(a)},
		{"Settings", settingsTable(a)},
		{"Routes", routesTable(a)},
	} {
		if len(t.table.Rows) == 0 {
			continue
		}
		if err := e.Printf("\n%s\n", t.title); err != nil {
			return err
		}
		if err := e.Table(t.table); err != nil {
			return err
		}
	}
	return nil
}

func servicesTable(a *describe.Application) ui.Table {
	t := ui.Table{Header: []string{"SERVICE", "COMPONENT", "RUNS", "PORTS", "COMMAND"}, Wrap: []int{2}, Sentences: []int{4}}
	for _, component := range slices.Sorted(maps.Keys(a.Spec.Components)) {
		services := a.Spec.Components[component].Services
		for _, name := range slices.Sorted(maps.Keys(services)) {
			s := services[name]
			t.Rows = append(t.Rows, []string{name, component, runs(s), strings.Join(s.Ports, ", "), strings.Join(s.Command, " ")})
		}
	}
	return t
}

// runs says when a service runs.
func runs(s describe.Service) string {
	when := map[string]string{
		"before-upgrade": "before each upgrade", "first-install": "at the first installation", "scheduled": "at " + s.Schedule,
	}[s.Job]
	if s.Replicas > 1 {
		when = fmt.Sprintf("%d times", s.Replicas)
	}
	if s.MaxReplicas == 1 {
		when = "only one"
	}
	if s.Optional {
		when = strings.Join(nonEmpty("if asked for", when), ", ")
	}
	if when == "" {
		return "always"
	}
	return when
}

func needsTable(a *describe.Application) ui.Table {
	t := ui.Table{Header: []string{"NEED", "DETAILS", "VARIABLES"}, Wrap: []int{1, 2}}
	for _, name := range slices.Sorted(maps.Keys(a.Spec.Needs)) {
		n := a.Spec.Needs[name]
		shown := name
		if n.Kind != name {
			shown += " (" + n.Kind + ")"
		}
		var details []string
		if n.Optional {
			details = []string{"optional"}
		}
		details = append(details, nonEmpty(n.Description, n.Version, strings.Join(n.Extensions, ", "), n.Callback, n.Path, n.Size, n.Access, strings.Trim(n.App+"/"+n.Component, "/"))...)
		if n.Versioning {
			details = append(details, "keeps versions")
		}
		t.Rows = append(t.Rows, []string{shown, strings.Join(details, "; "), strings.Join(slices.Sorted(maps.Keys(n.Env)), ", ")})
	}
	return t
}

func settingsTable(a *describe.Application) ui.Table {
	t := ui.Table{Header: []string{"VARIABLE", "VALUE", "DESCRIPTION"}, Wrap: []int{1, 2}}
	add := func(of string, settings map[string]describe.Setting) {
		for _, name := range slices.Sorted(maps.Keys(settings)) {
			s := settings[name]
			who := cmp.Or(of, strings.Join(s.Components, ", "))
			t.Rows = append(t.Rows, []string{name, settingValue(s), strings.Join(nonEmpty(s.Description, who), "; ")})
		}
	}
	add("", a.Spec.Config)
	for _, component := range slices.Sorted(maps.Keys(a.Spec.Components)) {
		services := a.Spec.Components[component].Services
		for _, name := range slices.Sorted(maps.Keys(services)) {
			add(name, services[name].Config)
		}
	}
	return t
}

// settingValue says which value a setting has if the operator sets none.
func settingValue(s describe.Setting) string {
	switch {
	case s.Generate:
		return "secret, any random text"
	case s.Secret && s.Required:
		return "secret, to be set"
	case s.Secret:
		return "secret"
	case s.Required:
		return "to be set"
	case s.Value != "":
		return s.Value
	case s.Default != "":
		return "default " + s.Default
	}
	return ""
}

func routesTable(a *describe.Application) ui.Table {
	t := ui.Table{Header: []string{"PATH", "TO", "HOW"}, Wrap: []int{2}}
	for _, path := range slices.Sorted(maps.Keys(a.Spec.Routes)) {
		r := a.Spec.Routes[path]
		to := strings.Join(nonEmpty(r.Service, r.Port), ":")
		if r.Bucket != "" {
			to = "bucket " + r.Bucket
		}
		t.Rows = append(t.Rows, []string{path, to, strings.Join(routeDetails(r), "; ")})
	}
	return t
}

func routeDetails(r describe.Route) []string {
	var how []string
	if r.WebSocket {
		how = append(how, "WebSockets")
	}
	if r.Sticky != nil && r.Sticky.Query != "" {
		how = append(how, "sticky by the query argument "+r.Sticky.Query)
	}
	if r.Sticky != nil && r.Sticky.Cookie != "" {
		how = append(how, "sticky by the cookie "+r.Sticky.Cookie)
	}
	if r.MaxBodySize == "0" {
		how = append(how, "bodies of any size")
	} else if r.MaxBodySize != "" {
		how = append(how, "bodies up to "+r.MaxBodySize)
	}
	if r.Timeout > 0 {
		how = append(how, fmt.Sprintf("up to %d s", r.Timeout))
	}
	if r.Authorize != nil {
		how = append(how, "asks "+r.Authorize.Service+" "+r.Authorize.Path+" first")
	}
	if r.StripPrefix {
		how = append(how, "without its path")
	}
	return how
}

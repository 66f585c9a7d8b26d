package scan

// Added returns the findings of an image that are as bad as a severity or worse, that no
// statement settles, and that a former image does not have. A finding is the same if it has
// an ID in common and its component has the same name: another version of the component, or
// another place, does not make it a new one.
func Added(former, image Image, gate Severity) []Finding {
	type key struct{ id, component string }
	known := map[key]bool{}
	for _, f := range former.Findings {
		if f.Settled() {
			continue
		}
		for _, id := range f.IDs() {
			known[key{id, f.Component.Name}] = true
		}
	}
	var added []Finding
	for _, f := range image.Findings {
		isNew := f.Severity.AtLeast(gate) && !f.Settled()
		for _, id := range f.IDs() {
			isNew = isNew && !known[key{id, f.Component.Name}]
		}
		if isNew {
			added = append(added, f)
		}
	}
	return added
}

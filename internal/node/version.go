package node

import "runtime/debug"

// Version returns the version of the program: the module version of a release,
// or the commit it was built from.
func Version(read func() (*debug.BuildInfo, bool)) string {
	info, ok := read()
	if !ok {
		return "unknown"
	}
	version := info.Main.Version
	if version == "" || version == "(devel)" {
		version = "development"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return version + " " + s.Value[:12] + " " + info.GoVersion
		}
	}
	return version + " " + info.GoVersion
}

# Reads a YAML list as Rails does: ERB first. The values as a JSON list on standard output.
require "erb"
require "json"
require "yaml"
print JSON.generate(YAML.safe_load(ERB.new(File.read(ARGV[0], encoding: "UTF-8")).result))

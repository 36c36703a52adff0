# Reads `database.yml` as Rails does, ERB before YAML: a JSON object a line in, the development database's settings a line out.
require "erb"
require "json"
require "yaml"

$stdin.each_line do |line|
  answer =
    begin
      text = JSON.parse(line).fetch("connection")
      { rows: [[YAML.safe_load(ERB.new(text).result).fetch("development")]] }
    rescue StandardError, SyntaxError => e
      { error: "#{e.class}: #{e.message}" }
    end
  puts JSON.generate(answer)
end

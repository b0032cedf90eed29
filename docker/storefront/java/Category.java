import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;

/**
 * A category page over plain HTTP: no model, no library. Java 11 or newer.
 *
 * <pre>java Category.java http://localhost:9200 products "Apparel > Topwear > Kurtas" 24 0</pre>
 *
 * It prints the search's answer as OpenSearch gives it; a shop reads it with its own JSON library.
 */
public class Category {
    private static final HttpClient CLIENT = HttpClient.newHttpClient();

    public static void main(String[] arguments) throws Exception {
        if (arguments.length != 5) {
            System.err.println("usage: java Category.java URL INDEX CATEGORY SIZE FROM");
            System.exit(2);
        }
        String url = arguments[0];
        String index = arguments[1];
        String path = arguments[2];
        int size = Integer.parseInt(arguments[3]);
        int from = Integer.parseInt(arguments[4]);

        // The category's vector was written by `clipita ingest`; a shop keeps it, for it changes with the model only.
        String id = URLEncoder.encode(path, StandardCharsets.UTF_8).replace("+", "%20");
        String category = ask(url + "/" + index + "-categories/_doc/" + id + "?filter_path=_source.vector", null);
        String vector = category.substring(category.indexOf('['), category.indexOf(']') + 1);
        String name = path.substring(path.lastIndexOf(" > ") < 0 ? 0 : path.lastIndexOf(" > ") + 3);

        String body = "{\"id\": " + quoted(index + "-saturation") + ", \"params\": {\"query\": " + quoted(name)
            + ", \"vector\": " + vector + ", \"category\": " + quoted(path) + ", \"size\": " + size
            + ", \"from\": " + from + "}}";
        System.out.println(ask(url + "/" + index + "/_search/template", body));
    }

    private static String ask(String url, String body) throws Exception {
        HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(url)).header("Content-Type", "application/json");
        if (body != null) {
            request.POST(HttpRequest.BodyPublishers.ofString(body));
        }
        HttpResponse<String> answer = CLIENT.send(request.build(), HttpResponse.BodyHandlers.ofString());
        if (answer.statusCode() != 200) {
            throw new IllegalStateException(url + ": " + answer.statusCode() + " " + answer.body());
        }
        return answer.body();
    }

    /** A text as JSON: whatever a visitor types stays inside its quotation marks. */
    private static String quoted(String text) {
        StringBuilder json = new StringBuilder("\"");
        for (char character : text.toCharArray()) {
            if (character == '"' || character == '\\') {
                json.append('\\').append(character);
            } else if (character < ' ') {
                json.append(String.format("\\u%04x", (int) character));
            } else {
                json.append(character);
            }
        }
        return json.append('"').toString();
    }
}

#!/usr/bin/env -S php -d display_errors=0
<?php
/* The handler as a CGI program; what it prints is left out, since standard output is the answer. */

require __DIR__ . '/index.php';

ob_start();
$value = main_handler(json_decode(file_get_contents('php://stdin')), new stdClass());
ob_end_clean();
$body = json_encode($value);
echo "Content-Type: application/json\r\nContent-Length: ", strlen($body), "\r\n\r\n", $body;

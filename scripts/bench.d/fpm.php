<?php
/* The handler behind php-fpm. */

require __DIR__ . '/index.php';

ob_start();
$value = main_handler(json_decode(file_get_contents('php://input')), new stdClass());
ob_end_clean();
header('Content-Type: application/json');
echo json_encode($value);
